//! Which stream a request is about: by name, by ARN, or by both if they agree.

use std::sync::Arc;

use kinelog_engine::types::Stream;

use super::arn::StreamArn;
use super::context::Call;
use super::{failures, lifecycle, unconfirmed};
use crate::aws::exception::Exception;
use crate::aws::input::Input;

/// A stream as addressed; it need not exist.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct StreamRef {
    /// Its name, also where it was addressed by ARN.
    pub(super) name: String,
    /// The account it is looked for in.
    pub(super) account: String,
    /// False when it belongs to another account or region, where the caller sees nothing.
    reachable: bool,
}

impl StreamRef {
    /// From the members `StreamName` and `StreamARN`.
    ///
    /// # Errors
    ///
    /// `InvalidArgumentException` when both are missing or disagree.
    pub(super) fn parse(call: &Call<'_>, input: &Input<'_>) -> Result<Self, Exception> {
        match (input.text("StreamName"), input.text("StreamARN")) {
            (Some(name), None) => Ok(Self::named(call, name)),
            (None, Some(arn)) => Ok(Self::of_arn(call, arn)),
            (Some(name), Some(arn)) => {
                let stream = Self::of_arn(call, arn);
                if stream.name == name {
                    Ok(stream)
                } else {
                    Err(unconfirmed::stream_names_disagree(name, arn))
                }
            }
            (None, None) => Err(unconfirmed::stream_not_named()),
        }
    }

    /// The caller's stream of this name.
    pub(super) fn named(call: &Call<'_>, name: &str) -> Self {
        Self { name: name.to_owned(), account: call.account.to_owned(), reachable: true }
    }

    /// The stream of this ARN.
    pub(super) fn of_arn(call: &Call<'_>, arn: &str) -> Self {
        Self::of_parts(call, StreamArn::parse(arn))
    }

    /// The stream of an ARN taken apart.
    pub(super) fn of_parts(call: &Call<'_>, arn: StreamArn<'_>) -> Self {
        Self {
            name: arn.name.to_owned(),
            account: arn.account.to_owned(),
            reachable: arn.account == call.account && arn.region == call.region,
        }
    }

    /// The stream as callers see it.
    pub(super) async fn find(&self, call: &Call<'_>) -> Option<Arc<Stream>> {
        lifecycle::settle(call.context, self.look_up(call)?).await
    }

    /// The stream as it is stored: the one to write to.
    pub(super) async fn find_stored(&self, call: &Call<'_>) -> Option<Arc<Stream>> {
        lifecycle::settle_stored(call.context, self.look_up(call)?).await
    }

    fn look_up(&self, call: &Call<'_>) -> Option<Arc<Stream>> {
        if self.reachable { call.context.engine.stream(&call.key(&self.name)) } else { None }
    }

    /// The stream as callers see it.
    ///
    /// # Errors
    ///
    /// `ResourceNotFoundException`.
    pub(super) async fn get(&self, call: &Call<'_>) -> Result<Arc<Stream>, Exception> {
        self.find(call).await.ok_or_else(|| self.not_found())
    }

    /// That there is no such stream.
    pub(super) fn not_found(&self) -> Exception {
        failures::stream_not_found(&self.name, &self.account)
    }

    /// Refuses the call when the account has called `operation` too often.
    ///
    /// # Errors
    ///
    /// `LimitExceededException`.
    pub(super) fn admit(
        &self,
        call: &Call<'_>,
        operation: &'static str,
        per_second: u64,
    ) -> Result<(), Exception> {
        self.admit_for(call, operation, &call.namespace, per_second)
    }

    /// Refuses the call when `operation` was called too often for this stream.
    ///
    /// # Errors
    ///
    /// `LimitExceededException`.
    pub(super) fn admit_stream(
        &self,
        call: &Call<'_>,
        operation: &'static str,
        per_second: u64,
    ) -> Result<(), Exception> {
        let scope = format!("{}/{}", call.namespace, self.name);
        self.admit_for(call, operation, &scope, per_second)
    }

    fn admit_for(
        &self,
        call: &Call<'_>,
        operation: &'static str,
        scope: &str,
        per_second: u64,
    ) -> Result<(), Exception> {
        if call.context.throttle().admit_call(operation, scope, per_second, call.now) {
            Ok(())
        } else {
            Err(failures::call_rate(&self.name, &self.account))
        }
    }
}
