//! What `IncreaseStreamRetentionPeriod` and `DecreaseStreamRetentionPeriod` share: everything but
//! the direction.

use bytes::Bytes;
use kinelog_engine::types::StreamChange;

use super::context::Call;
use super::stream_ref::StreamRef;
use super::{lifecycle, shapes};
use crate::aws::exception::{Exception, Kind};
use crate::aws::input::Input;
use crate::aws::shape::{Member, Shape};
use crate::limits::{CALLS_PER_SECOND, RETENTION_HOURS};

/// The members of both inputs.
pub(super) const MEMBERS: &[Member] = &[
    shapes::STREAM_NAME,
    shapes::required("RetentionPeriodHours", Shape::Integer { min: None, max: None }),
    shapes::STREAM_ARN,
    shapes::STREAM_ID,
];

/// What an operation does to the retention.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Direction {
    /// Records stay longer; those already trimmed do not come back.
    Up,
    /// Older records become unreadable at once.
    Down,
}

impl Direction {
    const fn operation(self) -> &'static str {
        match self {
            Self::Up => "IncreaseStreamRetentionPeriod",
            Self::Down => "DecreaseStreamRetentionPeriod",
        }
    }

    /// Refuses a change the other way. The same value passes in both directions.
    fn check(self, stream: &str, asked: u32, existing: u32) -> Result<(), Exception> {
        let (comparison, api) = match self {
            Self::Up if asked < existing => ("shorter", "DecreaseRetentionPeriod"),
            Self::Down if asked > existing => ("longer", "IncreaseRetentionPeriod"),
            Self::Up | Self::Down => return Ok(()),
        };
        Err(Exception::new(
            Kind::InvalidArgument,
            format!(
                "Requested retention period ({asked} hours) for stream {stream} can not be \
                 {comparison} than existing retention period ({existing} hours). Use {api} API."
            ),
        ))
    }
}

/// Answers a call of either operation.
///
/// # Errors
///
/// The exception to answer.
pub(super) async fn change(
    call: &Call<'_>,
    input: &Input<'_>,
    direction: Direction,
) -> Result<Bytes, Exception> {
    let named = StreamRef::parse(call, input)?;
    named.admit(call, direction.operation(), CALLS_PER_SECOND)?;
    let asked = input.integer("RetentionPeriodHours").unwrap_or_default();
    lifecycle::update(call, &named, |stream, _| {
        let (asked, existing) = (within_bounds(asked)?, stream.retention_hours);
        direction.check(&stream.key.name, asked, existing)?;
        Ok(if asked == existing { Vec::new() } else { vec![StreamChange::Retention(asked)] })
    })
    .await?;
    Ok(Bytes::new())
}

fn within_bounds(asked: i32) -> Result<u32, Exception> {
    let (shortest, longest) = RETENTION_HOURS;
    let (bound, hours, fault) = match u32::try_from(asked) {
        Ok(hours) if hours > longest => ("Maximum", longest, "long"),
        Ok(hours) if hours >= shortest => return Ok(hours),
        Ok(_) | Err(_) => ("Minimum", shortest, "short"),
    };
    Err(Exception::new(
        Kind::InvalidArgument,
        format!(
            "{bound} allowed retention period is {hours} hours. \
             Requested retention period ({asked} hours) is too {fault}."
        ),
    ))
}
