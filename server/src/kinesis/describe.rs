//! What the answers that describe a stream have in common.

use kinelog_engine::types::{Stream, Timestamp};

use super::arn::StreamArn;
use super::attributes::Attributes;
use super::context::Call;
use super::{failures, monitoring};
use crate::aws::writer::Writer;

/// Writes the members that every answer about a stream has.
pub(super) fn write_identity(
    writer: &mut Writer,
    call: &Call<'_>,
    stream: &Stream,
    attributes: &Attributes,
) {
    let name = &stream.key.name;
    writer.key("StreamName");
    writer.text(name);
    writer.key("StreamARN");
    writer.text(&StreamArn { region: call.region, account: call.account, name }.to_string());
    writer.key("StreamStatus");
    writer.text(failures::status_name(stream.status));
    writer.key("StreamModeDetails");
    writer.begin_map();
    writer.key("StreamMode");
    writer.text(attributes.mode.name());
    writer.end_map();
    writer.key("StreamCreationTimestamp");
    writer.timestamp(creation(stream).0);
}

/// The creation time as clients see and repeat it: in whole seconds.
pub(super) fn creation(stream: &Stream) -> Timestamp {
    Timestamp(stream.created_at.seconds() * 1000)
}

/// True when `created_ms`, as a client repeats it, is the creation time of the stream.
pub(super) fn is_created(stream: &Stream, created_ms: i64) -> bool {
    i64::try_from(creation(stream).seconds()) == Ok(created_ms.div_euclid(1000))
}

/// Writes the settings that both descriptions show.
pub(super) fn write_settings(writer: &mut Writer, stream: &Stream, attributes: &Attributes) {
    writer.key("RetentionPeriodHours");
    writer.integer(i64::from(stream.retention_hours));
    writer.key("EnhancedMonitoring");
    writer.begin_list();
    writer.begin_map();
    writer.key("ShardLevelMetrics");
    monitoring::write_metrics(writer, &attributes.shard_level_metrics);
    writer.end_map();
    writer.end_list();
    writer.key("EncryptionType");
    match &attributes.write.encryption_key {
        None => writer.text("NONE"),
        Some(key) => {
            writer.text("KMS");
            writer.key("KeyId");
            writer.text(key);
        }
    }
}
