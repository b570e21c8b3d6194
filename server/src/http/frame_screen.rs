//! A look at the frames of an HTTP/2 connection as they come off the wire, for floods that h2 lets
//! pass: frames that carry nothing of a request, and make the server work or answer. A client may
//! send so many at once, and so many a second for ever; more end the connection.
//!
//! Counted are settings, pings, priorities, resets, continuations, pushes and frames nobody knows.
//! Heads, bodies and windows are not: they come with requests and answers, and h2 bounds the empty
//! ones among them.

use std::time::Duration;

use tokio::time::Instant;

use super::bounds::Bounds;

/// First bytes of every HTTP/2 connection, and of no HTTP/1.1 request.
pub(super) const OPENING: &[u8; 24] = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n";
/// Length and kind, then flags and a stream.
const HEAD_BYTES: usize = 9;

const DATA: u8 = 0;
const HEADERS: u8 = 1;
const GOAWAY: u8 = 7;
const WINDOW_UPDATE: u8 = 8;

/// Follows the bytes of one connection.
#[derive(Debug)]
pub(super) struct FrameScreen {
    place: Place,
    /// Frames used up of what may come at once.
    used: u32,
    /// When `used` was last lowered.
    lowered_at: Instant,
}

#[derive(Debug)]
enum Place {
    /// So many bytes of the opening have come.
    Opening(usize),
    /// So many bytes of a frame's head have come; the first four say how long it is, and its kind.
    Head([u8; 4], usize),
    /// So many bytes of a frame are to come.
    Payload(usize),
    /// It is HTTP/1.1.
    Unscreened,
}

impl FrameScreen {
    /// For a connection that begins `now`.
    pub(super) const fn new(now: Instant) -> Self {
        Self { place: Place::Opening(0), used: 0, lowered_at: now }
    }

    /// Looks at the next bytes of the connection; true when they are a flood.
    pub(super) fn see(&mut self, mut bytes: &[u8], bounds: &Bounds) -> bool {
        while let [byte, rest @ ..] = bytes {
            bytes = match &mut self.place {
                Place::Unscreened => return false,
                Place::Opening(seen) if OPENING.get(*seen) != Some(byte) => {
                    self.place = Place::Unscreened;
                    return false;
                }
                Place::Opening(seen) => {
                    *seen += 1;
                    if *seen == OPENING.len() {
                        self.place = Place::Head([0; 4], 0);
                    }
                    rest
                }
                Place::Head(head, seen) => {
                    if let Some(place) = head.get_mut(*seen) {
                        *place = *byte;
                    }
                    *seen += 1;
                    if *seen == HEAD_BYTES {
                        let [high, middle, low, kind] = *head;
                        let length = u32::from_be_bytes([0, high, middle, low]);
                        self.place = Place::in_frame(length as usize);
                        if self.count(kind, bounds) {
                            return true;
                        }
                    }
                    rest
                }
                Place::Payload(left) => {
                    let here = bytes.len().min(*left);
                    self.place = Place::in_frame(*left - here);
                    &bytes[here..]
                }
            };
        }
        false
    }

    /// Counts a frame; true when it is one too many.
    fn count(&mut self, kind: u8, bounds: &Bounds) -> bool {
        if matches!(kind, DATA | HEADERS | GOAWAY | WINDOW_UPDATE) {
            return false;
        }
        self.used += 1;
        if self.used <= bounds.control_frames_max {
            return false;
        }
        self.lower(Instant::now(), bounds.control_frames_per_second);
        self.used > bounds.control_frames_max
    }

    /// Gives back what the time since the last look allows, in whole seconds.
    fn lower(&mut self, now: Instant, per_second: u32) {
        let seconds = u32::try_from((now - self.lowered_at).as_secs()).unwrap_or(u32::MAX);
        self.lowered_at += Duration::from_secs(seconds.into());
        self.used = self.used.saturating_sub(per_second.saturating_mul(seconds));
    }
}

impl Place {
    /// With so many bytes of a frame to come.
    const fn in_frame(left: usize) -> Self {
        if left == 0 { Self::Head([0; 4], 0) } else { Self::Payload(left) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SETTINGS: u8 = 4;
    const PING: u8 = 6;

    fn bounds() -> Bounds {
        Bounds { control_frames_max: 3, control_frames_per_second: 0, ..Bounds::default() }
    }

    fn frame(kind: u8, payload: &[u8]) -> Vec<u8> {
        let length = u8::try_from(payload.len()).unwrap();
        [&[0, 0, length, kind, 0, 0, 0, 0, 0], payload].concat()
    }

    /// How many of the same frames pass, of ten.
    fn passing(frame: &[u8], piece: usize) -> usize {
        let mut screen = FrameScreen::new(Instant::now());
        assert!(!screen.see(OPENING, &bounds()));
        let is_flood = |_: &usize| !frame.chunks(piece).any(|part| screen.see(part, &bounds()));
        (0..10).take_while(is_flood).count()
    }

    #[test]
    fn control_frames_pass_up_to_their_bound_and_others_always() {
        for piece in [1, 2, 9, 10, 100] {
            for kind in [2, 3, SETTINGS, 5, PING, 9, 0x77] {
                assert_eq!(passing(&frame(kind, b"12345678"), piece), 3, "{kind}");
                assert_eq!(passing(&frame(kind, b""), piece), 3, "{kind}");
            }
            for kind in [DATA, HEADERS, GOAWAY, WINDOW_UPDATE] {
                // What a payload holds is no frame.
                assert_eq!(passing(&frame(kind, &frame(PING, b"")), piece), 10, "{kind}");
            }
        }
    }

    #[test]
    fn http_1_is_not_screened() {
        let mut screen = FrameScreen::new(Instant::now());
        assert!(!screen.see(b"PRI * HTTP/1.1\r\n\r\n", &bounds()));
        for _ in 0..10 {
            assert!(!screen.see(&frame(PING, b""), &bounds()));
        }
    }

    #[test]
    fn time_gives_frames_back() {
        let start = Instant::now();
        let mut screen = FrameScreen { used: 5, ..FrameScreen::new(start) };
        let at = |millis| start + Duration::from_millis(millis);
        for (millis, used) in [(0, 5), (999, 5), (1_000, 4), (1_999, 4), (3_500, 2), (9_000, 0)] {
            screen.lower(at(millis), 1);
            assert_eq!(screen.used, used, "{millis}");
        }
    }
}
