//! What may be said in the policy of a stream or a consumer. Policies are stored as their authors
//! wrote them; who evaluates one reads it again.

use super::resource::ResourceRef;
use super::unconfirmed;
use crate::aws::exception::Exception;
use crate::aws::policy::{Pattern, Policy, Statement};
use crate::limits::RESOURCE_POLICY_BYTES_MAX;

/// What the owner of a stream can let others do.
const STREAM_ACTIONS: &[&str] = &[
    "kinesis:DescribeStream",
    "kinesis:DescribeStreamConsumer",
    "kinesis:DescribeStreamSummary",
    "kinesis:GetRecords",
    "kinesis:GetShardIterator",
    "kinesis:ListShards",
    "kinesis:PutRecord",
    "kinesis:PutRecords",
    "kinesis:RegisterStreamConsumer",
];
/// What the owner of a consumer can let others do.
const CONSUMER_ACTIONS: &[&str] = &["kinesis:DescribeStreamConsumer", "kinesis:SubscribeToShard"];

/// Checks the policy `text` for `resource`, whose ARN is `arn`.
///
/// # Errors
///
/// `InvalidArgumentException`.
pub(super) fn check(text: &str, resource: &ResourceRef, arn: &str) -> Result<(), Exception> {
    if text.len() > RESOURCE_POLICY_BYTES_MAX {
        return Err(unconfirmed::invalid_policy(&format_args!(
            "it is longer than {RESOURCE_POLICY_BYTES_MAX} bytes"
        )));
    }
    let policy = Policy::parse(text).map_err(|error| unconfirmed::invalid_policy(&error))?;
    policy.statements.iter().try_for_each(|statement| check_statement(statement, resource, arn))
}

fn check_statement(
    statement: &Statement,
    resource: &ResourceRef,
    arn: &str,
) -> Result<(), Exception> {
    let actions = match resource {
        ResourceRef::Stream(_) => STREAM_ACTIONS,
        ResourceRef::Consumer(_) => CONSUMER_ACTIONS,
    };
    let is_shared = |action: &Pattern| actions.iter().any(|shared| action.matches(shared));
    if let Some(Pattern(action)) = statement.actions.iter().find(|action| !is_shared(action)) {
        let kind = resource.kind();
        return Err(unconfirmed::invalid_policy(&format_args!(
            "the action {action} cannot be shared for a {kind}"
        )));
    }
    if let Some(Pattern(other)) = statement.resources.iter().find(|resource| resource.0 != arn) {
        return Err(unconfirmed::invalid_policy(&format_args!(
            "the resource {other} is not {arn}, to which the policy belongs"
        )));
    }
    Ok(())
}
