//! One rule: which calls it is about, how often it strikes, and what it does.

use std::fmt;

use crate::aws::exception::{Exception, Kind};

/// The operation whose answers go on for minutes.
pub(super) const SUBSCRIBE: &str = "SubscribeToShard";
/// The effect on an answer that is under way.
pub(super) const IN_STREAM: &str = "in-stream";

/// A rule.
#[derive(Clone, Debug, PartialEq)]
pub struct Rule {
    /// The operation; `None` is any.
    pub(super) operation: Option<&'static str>,
    /// Name of the stream, in any account and region; `None` is any, and none.
    pub(super) stream: Option<String>,
    /// Probability to strike, above 0 and up to 1.
    pub(super) probability: f64,
    /// How often it strikes at most.
    pub(super) count: Option<u64>,
    /// What it does.
    pub(super) effect: Effect,
}

/// What a rule does to a call.
#[derive(Clone, Debug, PartialEq)]
pub enum Effect {
    /// It ends another way than it would.
    End(Manner, Stage),
    /// It takes longer by as many milliseconds, from the first to the second.
    Delay(u64, u64),
    /// A fraction of its records fails, with this exception for each.
    Partial(f64, Kind),
    /// Its event stream ends with an exception.
    InStream(Exception),
}

/// How a call ends.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Manner {
    /// It is refused for its rate, in the words of the operation.
    Throttle,
    /// Its shard iterator is too old.
    Expire,
    /// With an exception.
    Exception(Exception),
    /// The connection is cut off without an answer.
    Cut,
}

/// When it is ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Stage {
    /// Before anything is done.
    Before,
    /// When all is done, and only the answer is lost.
    After,
}

impl Rule {
    /// True when it is about calls of `operation` on `stream`.
    pub(super) fn concerns(&self, operation: &str, stream: Option<&str>) -> bool {
        self.operation.is_none_or(|named| named == operation)
            && self.stream.as_deref().is_none_or(|named| stream == Some(named))
    }
}

impl Effect {
    /// In one word, for metrics.
    pub(super) const fn name(&self) -> &'static str {
        match self {
            Self::End(Manner::Throttle, _) => "throttle",
            Self::End(Manner::Expire, _) => "expire",
            Self::End(Manner::Exception(_), _) => "error",
            Self::End(Manner::Cut, _) => "cut",
            Self::Delay(..) => "latency",
            Self::Partial(..) => "partial",
            Self::InStream(_) => IN_STREAM,
        }
    }
}

/// The text that gives this rule.
impl fmt::Display for Rule {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.operation.unwrap_or("*"))?;
        self.stream.iter().try_for_each(|stream| write!(f, ":stream={stream}"))?;
        if self.probability < 1.0 {
            write!(f, ":p={}", self.probability)?;
        }
        self.count.iter().try_for_each(|count| write!(f, ":count={count}"))?;
        match &self.effect {
            Effect::End(manner, stage) => {
                let after = if *stage == Stage::After { ":after" } else { "" };
                match manner {
                    Manner::Throttle => write!(f, ":throttle{after}"),
                    Manner::Expire => write!(f, ":expire{after}"),
                    Manner::Cut => write!(f, ":cut{after}"),
                    Manner::Exception(exception) => {
                        write!(f, ":error={}{after}", exception.kind.name())?;
                        write_message(f, exception)
                    }
                }
            }
            Effect::Delay(least, most) if least == most => write!(f, ":latency={least}"),
            Effect::Delay(least, most) => write!(f, ":latency={least}-{most}"),
            Effect::Partial(fraction, kind) => {
                write!(f, ":partial={fraction}:error={}", kind.name())
            }
            Effect::InStream(exception) => {
                write!(f, ":in-stream={}", exception.kind.name())?;
                write_message(f, exception)
            }
        }
    }
}

fn write_message(f: &mut fmt::Formatter<'_>, exception: &Exception) -> fmt::Result {
    exception.message.iter().try_for_each(|message| write!(f, ":message={message}"))
}
