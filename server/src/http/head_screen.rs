//! A second look at HTTP/1.1 heads as they come off the wire, for what hyper resolves silently:
//! `Transfer-Encoding` beside `Content-Length`, or either of them twice. Two programs in a row that
//! resolve such a head differently disagree where the next request starts, which is how requests
//! are smuggled; so these are refused. The screen also knows when a head has begun and not ended.
//!
//! It follows the framing only as far as it needs to find the next head: after a chunked body the
//! connection is closed by the caller, and nothing is screened any more.

/// Longest part of a line that is looked at, in bytes; framing lines are far shorter.
const LINE_BYTES_MAX: usize = 128;

/// First bytes of every HTTP/2 connection, and of no HTTP/1.1 request.
const HTTP2_OPENING: &[u8] = b"PRI * HTTP/2";

/// Follows the bytes of one connection.
#[derive(Debug, Default)]
pub(super) struct HeadScreen {
    place: Place,
    line: Vec<u8>,
    heads: u64,
    refused: Option<u64>,
}

#[derive(Debug, Default)]
enum Place {
    /// Before the request line of the next head.
    #[default]
    Between,
    /// In a head.
    Head(Framing),
    /// In a body, with this many bytes to come.
    Body(u64),
    /// HTTP/2, or after a head whose end of body is not followed.
    Unscreened,
}

/// The framing lines of one head so far.
#[derive(Clone, Copy, Debug, Default)]
struct Framing {
    lines: usize,
    lengths: usize,
    length: u64,
    encodings: usize,
    malformed: bool,
}

impl HeadScreen {
    /// True between the first byte of a head and its end.
    pub(super) fn in_head(&self) -> bool {
        matches!(self.place, Place::Head(_)) || !self.line.is_empty()
    }

    /// The number of the first head, from 0, that must be refused.
    pub(super) fn refused(&self) -> Option<u64> {
        self.refused
    }

    /// Looks at the next bytes of the connection.
    pub(super) fn see(&mut self, mut bytes: &[u8]) {
        while !bytes.is_empty() {
            bytes = match self.place {
                Place::Between | Place::Head(_) => self.see_line(bytes),
                Place::Body(left) => {
                    let here = bytes.len().min(usize::try_from(left).unwrap_or(usize::MAX));
                    let left = left - here as u64;
                    self.place = if left == 0 { Place::Between } else { Place::Body(left) };
                    &bytes[here..]
                }
                Place::Unscreened => &[],
            };
        }
    }

    /// Takes bytes up to the end of a line and judges the line if it is whole.
    fn see_line<'a>(&mut self, bytes: &'a [u8]) -> &'a [u8] {
        let end = bytes.iter().position(|byte| *byte == b'\n');
        let (part, rest) = bytes.split_at(end.map_or(bytes.len(), |end| end + 1));
        let room = LINE_BYTES_MAX - self.line.len();
        self.line.extend_from_slice(&part[..part.len().min(room)]);
        if self.heads == 0 && self.line.starts_with(HTTP2_OPENING) {
            self.place = Place::Unscreened;
            self.line.clear();
        } else if end.is_some() {
            self.end_line();
        }
        rest
    }

    fn end_line(&mut self) {
        let mut framing = match self.place {
            Place::Head(framing) => framing,
            Place::Between | Place::Body(_) | Place::Unscreened => Framing::default(),
        };
        let line = self.line.trim_ascii_end();
        if !line.is_empty() {
            framing.see(line, self.line.len() == LINE_BYTES_MAX);
            self.place = Place::Head(framing);
        } else if framing.lines > 0 {
            self.end_head(framing);
        } // else an empty line before the request line, which servers skip
        self.line.clear();
    }

    fn end_head(&mut self, framing: Framing) {
        if framing.is_ambiguous() {
            self.refused.get_or_insert(self.heads);
        }
        self.heads += 1;
        self.place = if framing.is_ambiguous() || framing.encodings > 0 {
            Place::Unscreened
        } else if framing.length > 0 {
            Place::Body(framing.length)
        } else {
            Place::Between
        };
    }
}

impl Framing {
    fn see(&mut self, line: &[u8], cut: bool) {
        self.lines += 1;
        let Some(colon) = line.iter().position(|byte| *byte == b':') else { return };
        let value = line[colon + 1..].trim_ascii();
        let name = &line[..colon];
        if name.eq_ignore_ascii_case(b"content-length") {
            self.lengths += 1;
            self.length = decimal(value).unwrap_or(0);
            self.malformed |= cut || decimal(value).is_none();
        } else if name.eq_ignore_ascii_case(b"transfer-encoding") {
            self.encodings += 1;
            self.malformed |= cut || !value.eq_ignore_ascii_case(b"chunked");
        }
    }

    const fn is_ambiguous(self) -> bool {
        self.malformed || self.lengths + self.encodings > 1
    }
}

/// Digits only, as RFC 9110 has it: no sign, no list.
fn decimal(text: &[u8]) -> Option<u64> {
    let digits = !text.is_empty() && text.iter().all(u8::is_ascii_digit);
    if digits { std::str::from_utf8(text).ok()?.parse().ok() } else { None }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn screen(bytes: &str) -> HeadScreen {
        let mut screen = HeadScreen::default();
        screen.see(bytes.as_bytes());
        screen
    }

    #[test]
    fn ambiguous_framing_is_refused() {
        for lines in [
            "Content-Length: 3\r\nTransfer-Encoding: chunked",
            "transfer-encoding: chunked\r\ncontent-length: 3",
            "Content-Length: 3\r\nContent-Length: 3",
            "Content-Length: 3\nContent-Length: 4",
            "Content-Length: 3, 3",
            "Content-Length: +3",
            "Content-Length:",
            "Transfer-Encoding: gzip, chunked",
            "Transfer-Encoding: identity",
            "Transfer-Encoding: chunked\r\nTransfer-Encoding: chunked",
        ] {
            let head = format!("POST / HTTP/1.1\r\nHost: a\r\n{lines}\r\n\r\n");
            assert_eq!(screen(&head).refused(), Some(0), "{lines}");
        }
    }

    #[test]
    fn heads_after_a_body_of_known_length_are_screened() {
        let bad = "POST / HTTP/1.1\r\nContent-Length: 1\r\nTransfer-Encoding: chunked\r\n\r\n";
        let body = "\r\n\r\n".to_owned() + bad;
        let good = format!("\r\nPOST / HTTP/1.1\r\nContent-Length: {}\r\n\r\n{body}", body.len());
        assert_eq!(screen(&good).refused(), None);
        assert_eq!(screen(&format!("{good}{good}{bad}")).refused(), Some(2));
    }

    #[test]
    fn http2_is_not_screened() {
        let bytes =
            "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\nContent-Length: 1\r\nContent-Length: 2\r\n\r\n";
        assert_eq!(screen(bytes).refused(), None);
        assert!(!screen(bytes).in_head());
    }

    #[test]
    fn head_begins_with_its_first_byte_and_ends_with_its_empty_line() {
        assert!(!screen("").in_head());
        assert!(screen("P").in_head());
        assert!(screen("POST / HTTP/1.1\r\n").in_head());
        assert!(!screen("POST / HTTP/1.1\r\n\r\n").in_head());
        assert!(!screen("POST / HTTP/1.1\r\nContent-Length: 5\r\n\r\nabc").in_head());
        assert!(screen("POST / HTTP/1.1\r\nContent-Length: 3\r\n\r\nabcP").in_head());
    }

    proptest! {
        #[test]
        fn pieces_make_no_difference(cuts in proptest::collection::vec(1_usize..30, 1..40)) {
            let text = "POST / HTTP/1.1\r\nContent-Length: 7\r\n\r\nabc\r\n\r\n\
                        POST / HTTP/1.1\nContent-Length: 0\nContent-Length: 0\n\nPOST";
            let mut screen = HeadScreen::default();
            let mut rest = text.as_bytes();
            for cut in cuts.into_iter().cycle() {
                if rest.is_empty() {
                    break;
                }
                let (piece, after) = rest.split_at(cut.min(rest.len()));
                screen.see(piece);
                rest = after;
            }
            prop_assert_eq!(screen.refused(), Some(1));
        }

        #[test]
        fn any_bytes_are_survived(bytes: Vec<u8>) {
            let mut screen = HeadScreen::default();
            screen.see(&bytes);
        }
    }
}
