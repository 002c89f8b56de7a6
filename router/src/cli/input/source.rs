//! Bytes from a file or standard input, gunzipped where they are gzip, never more at once than a limit.
use flate2::read::MultiGzDecoder;
use std::io::{self, BufRead, BufReader, Cursor, Read};

const GZIP_MAGIC: [u8; 2] = [0x1f, 0x8b];
const BYTE_ORDER_MARK: [u8; 3] = [0xef, 0xbb, 0xbf];
const BUFFER_BYTES: usize = 64 << 10;

/// A stream of text, read by line or whole.
pub(super) struct Source<'s>(BufReader<Box<dyn Read + 's>>);

/// What became of reading a line.
pub(super) enum Line {
    /// The whole line was added, with its line break if it has one.
    Whole,
    /// As much as the limit allows was added; the line goes on.
    TooLong,
    /// There was nothing more to read.
    End,
    /// The disk failed, or the gzip data is damaged.
    Broken(io::Error),
}

impl<'s> Source<'s> {
    /// Recognises gzip by its first bytes, and drops a byte order mark.
    pub(super) fn open(mut from: &'s mut dyn Read) -> io::Result<Self> {
        let head = take(&mut from, GZIP_MAGIC.len())?;
        let zipped = head == GZIP_MAGIC;
        let whole = BufReader::with_capacity(BUFFER_BYTES, Cursor::new(head).chain(from));
        let mut plain: Box<dyn Read + 's> = if zipped { Box::new(MultiGzDecoder::new(whole)) } else { Box::new(whole) };
        let mut head = take(&mut plain, BYTE_ORDER_MARK.len())?;
        if head == BYTE_ORDER_MARK {
            head.clear();
        }
        Ok(Self(BufReader::with_capacity(BUFFER_BYTES, Box::new(Cursor::new(head).chain(plain)))))
    }

    /// Adds the next line to `into`, at most `limit` bytes of it.
    pub(super) fn line(&mut self, into: &mut Vec<u8>, limit: usize) -> Line {
        let before = into.len();
        if let Err(error) = (&mut self.0).take(limit as u64).read_until(b'\n', into) {
            return Line::Broken(error);
        }
        let read = into.len() - before;
        if read > 0 && (into.ends_with(b"\n") || read < limit) {
            return Line::Whole;
        }
        match self.0.fill_buf() {
            Ok([]) if read == 0 => Line::End,
            Ok([]) => Line::Whole,
            Ok(_) => Line::TooLong,
            Err(error) => Line::Broken(error),
        }
    }

    /// Drops what is left of the line.
    pub(super) fn skip_line(&mut self) -> io::Result<()> {
        self.0.skip_until(b'\n').map(drop)
    }

    /// All that is left, behind what was read before; `None` if that is more than `limit` bytes.
    pub(super) fn rest(&mut self, mut head: Vec<u8>, limit: usize) -> io::Result<Option<Vec<u8>>> {
        let left = limit.saturating_sub(head.len()) as u64;
        (&mut self.0).take(left + 1).read_to_end(&mut head)?;
        Ok((head.len() <= limit).then_some(head))
    }
}

/// The first bytes of a stream, fewer only where it ends; pipes give them one by one.
fn take(from: &mut dyn Read, count: usize) -> io::Result<Vec<u8>> {
    let mut head = Vec::with_capacity(count);
    from.take(count as u64).read_to_end(&mut head)?;
    Ok(head)
}
