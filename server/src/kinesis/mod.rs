//! The Kinesis Data Streams operations, one file each, and what they share.
//!
//! `Operation::of_target` finds the operation, `Operation::run` does it: coerce and validate by its
//! table, then its own checks in the service's order, then the work. A new operation is a file and
//! a line in the table below.

mod account;
mod add_tags_to_stream;
mod api_table;
mod arn;
mod attributes;
mod consumer_ref;
mod consumers;
pub mod context;
mod create_stream;
mod decrease_stream_retention_period;
mod delete_resource_policy;
mod delete_stream;
mod deregister_stream_consumer;
mod describe;
mod describe_account_settings;
mod describe_limits;
mod describe_stream;
mod describe_stream_consumer;
mod describe_stream_summary;
mod disable_enhanced_monitoring;
mod enable_enhanced_monitoring;
mod encryption;
mod failures;
mod feed;
mod get_records;
mod get_resource_policy;
mod get_shard_iterator;
mod increase_stream_retention_period;
mod injected;
mod lifecycle;
mod list_shards;
mod list_stream_consumers;
mod list_streams;
mod list_tags_for_resource;
mod list_tags_for_stream;
mod merge_shards;
mod monitoring;
mod on_demand;
mod page_token;
mod position;
mod put;
mod put_record;
mod put_records;
mod put_resource_policy;
mod records;
mod register_stream_consumer;
mod remove_tags_from_stream;
mod reshard;
mod resource;
mod resource_policy;
mod retention;
mod rolling_day;
mod shapes;
mod shard_filter;
mod shard_id;
mod shard_plan;
mod shards;
mod split_shard;
mod start_stream_encryption;
mod stop_stream_encryption;
mod stream_ref;
mod subscribe_to_shard;
mod subscription;
mod subscriptions;
mod tag_resource;
mod tags;
#[cfg(test)]
mod tests;
mod unconfirmed;
mod untag_resource;
mod update_account_settings;
mod update_max_record_size;
mod update_shard_count;
mod update_stream_mode;
mod update_stream_record_distribution_strategy;
mod update_stream_warm_throughput;
mod warm_throughput;

use crate::aws::Encoding;
use crate::aws::exception::Exception;
use crate::aws::input::{self, Body};
use crate::aws::output::Output;
use crate::aws::shape::Structure;
use crate::aws::sigv4::Principal;
use context::{Call, Context};

pub use api_table::api_table;
pub use create_stream::ensure as ensure_stream;
pub use lifecycle::{put_off as put_off_plan, resume as resume_transitions};
pub use monitoring::measured as measured_streams;
pub use on_demand::{Policy as OnDemandPolicy, Scaler};

macro_rules! operations {
    ($($name:ident in $module:ident,)*) => {
        /// The operations known by name. `UnknownOperation` is answered for all others.
        #[derive(Clone, Copy, Debug, PartialEq, Eq)]
        pub enum Operation {
            $(#[doc = concat!("See `", stringify!($module), "`.")] $name,)*
        }

        impl Operation {
            /// All of them.
            pub const ALL: &'static [Self] = &[$(Self::$name,)*];

            /// Their names.
            pub const NAMES: &'static [&'static str] = &[$(stringify!($name),)*];

            /// Its name.
            pub const fn name(self) -> &'static str {
                match self { $(Self::$name => stringify!($name),)* }
            }

            /// The table of its input.
            pub fn shape(self) -> &'static Structure {
                match self { $(Self::$name => &$module::SHAPE,)* }
            }

            async fn answer(
                self,
                call: &Call<'_>,
                input: &input::Input<'_>,
            ) -> Result<Output, Exception> {
                match self { $(Self::$name => $module::answer(call, input).await.map(Output::from),)* }
            }
        }
    };
}

operations! {
    AddTagsToStream in add_tags_to_stream,
    CreateStream in create_stream,
    DecreaseStreamRetentionPeriod in decrease_stream_retention_period,
    DeleteResourcePolicy in delete_resource_policy,
    DeleteStream in delete_stream,
    DeregisterStreamConsumer in deregister_stream_consumer,
    DescribeAccountSettings in describe_account_settings,
    DescribeLimits in describe_limits,
    DescribeStream in describe_stream,
    DescribeStreamConsumer in describe_stream_consumer,
    DescribeStreamSummary in describe_stream_summary,
    DisableEnhancedMonitoring in disable_enhanced_monitoring,
    EnableEnhancedMonitoring in enable_enhanced_monitoring,
    GetRecords in get_records,
    GetResourcePolicy in get_resource_policy,
    GetShardIterator in get_shard_iterator,
    IncreaseStreamRetentionPeriod in increase_stream_retention_period,
    ListShards in list_shards,
    ListStreamConsumers in list_stream_consumers,
    ListStreams in list_streams,
    ListTagsForResource in list_tags_for_resource,
    ListTagsForStream in list_tags_for_stream,
    MergeShards in merge_shards,
    PutRecord in put_record,
    PutRecords in put_records,
    PutResourcePolicy in put_resource_policy,
    RegisterStreamConsumer in register_stream_consumer,
    RemoveTagsFromStream in remove_tags_from_stream,
    SplitShard in split_shard,
    StartStreamEncryption in start_stream_encryption,
    StopStreamEncryption in stop_stream_encryption,
    SubscribeToShard in subscribe_to_shard,
    TagResource in tag_resource,
    UntagResource in untag_resource,
    UpdateAccountSettings in update_account_settings,
    UpdateMaxRecordSize in update_max_record_size,
    UpdateShardCount in update_shard_count,
    UpdateStreamMode in update_stream_mode,
    UpdateStreamRecordDistributionStrategy in update_stream_record_distribution_strategy,
    UpdateStreamWarmThroughput in update_stream_warm_throughput,
}

impl Operation {
    /// The operation of an `X-Amz-Target` value such as `Kinesis_20131202.PutRecord`.
    pub fn of_target(target: &str) -> Option<Self> {
        let name = target.strip_prefix("Kinesis_20131202.")?;
        Self::ALL.iter().copied().find(|operation| operation.name() == name)
    }

    /// Does it. The body was read with its shape, or without one.
    ///
    /// # Errors
    ///
    /// The exception to answer.
    pub async fn run<'a>(
        self,
        context: &Context,
        principal: &Principal,
        encoding: Encoding,
        body: impl Into<Body<'a>>,
    ) -> Result<Output, Exception> {
        let input = input::read(body, self.shape(), encoding)?;
        let call = Call::new(context, principal, encoding);
        if context.faults().are_on() {
            return injected::answer(self, call, &input).await;
        }
        self.answer(&call, &input).await
    }
}
