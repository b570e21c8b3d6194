//! `UpdateMaxRecordSize`: changes how long a record may be. Stored records stay as they are.

use bytes::Bytes;

use super::context::Call;
use super::stream_ref::StreamRef;
use super::{lifecycle, shapes};
use crate::aws::exception::Exception;
use crate::aws::input::Input;
use crate::aws::shape::Structure;
use crate::limits;

/// The input.
pub(super) static SHAPE: Structure = Structure {
    name: "UpdateMaxRecordSizeRequest",
    members: &[
        shapes::STREAM_ARN,
        shapes::STREAM_ID,
        shapes::required("MaxRecordSizeInKiB", shapes::RECORD_KIB),
    ],
};

/// A sound request.
#[derive(Debug)]
struct Request {
    stream: StreamRef,
    record_kib_max: u32,
}

impl Request {
    fn parse(call: &Call<'_>, input: &Input<'_>) -> Result<Self, Exception> {
        let stream = StreamRef::parse(call, input)?;
        let given = input.integer("MaxRecordSizeInKiB").map(i32::unsigned_abs);
        Ok(Self { stream, record_kib_max: given.unwrap_or(limits::RECORD_KIB_DEFAULT) })
    }
}

/// Answers the call.
///
/// # Errors
///
/// The exception to answer.
pub(super) async fn answer(call: &Call<'_>, input: &Input<'_>) -> Result<Bytes, Exception> {
    let request = Request::parse(call, input)?;
    let rate = limits::UPDATE_MAX_RECORD_SIZE_PER_SECOND;
    request.stream.admit(call, "UpdateMaxRecordSize", rate)?;
    lifecycle::update(call, &request.stream, |_, attributes| {
        attributes.write.record_kib_max = request.record_kib_max;
        Ok(Vec::new())
    })
    .await?;
    Ok(Bytes::new())
}
