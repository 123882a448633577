//! A body on the wire: what of it is still to come, and its next piece.
//!
//! Owns the cutting of bodies, those of clients and those of upstreams alike. Does no I/O.

use bytes::{Buf as _, Bytes, BytesMut};

use super::{chunks::Chunks, head::Fault};

/// Where a body ends (RFC 9112 section 6.3).
#[derive(Debug)]
pub enum Framed {
    /// After so many bytes.
    Length(u64),
    /// After the last chunk.
    Chunked(Chunks),
    /// With the connection.
    Close,
}

/// A piece of a body, as far as it has come.
#[derive(Debug, PartialEq, Eq)]
pub enum Piece {
    /// So much of it.
    Data(Bytes),
    /// More has to come first.
    Missing,
    /// It is over.
    End,
}

impl Framed {
    /// Takes the next piece of the body off the front; `closed` is that nothing more will come.
    ///
    /// # Errors
    /// It is framed wrongly, or ends before its end.
    pub fn take(&mut self, bytes: &mut BytesMut, closed: bool) -> Result<Piece, Fault> {
        let most = match self {
            Self::Length(0) => return Ok(Piece::End),
            Self::Length(left) => usize::try_from(*left).unwrap_or(usize::MAX).min(bytes.len()),
            Self::Close => bytes.len(),
            Self::Chunked(chunks) => {
                let (before, data) = chunks.next(bytes)?;
                bytes.advance(before);
                if data == 0 && chunks.is_done() {
                    return Ok(Piece::End);
                }
                data
            }
        };
        if let Self::Length(left) = self {
            *left -= most as u64;
        }
        match (most, closed, self) {
            (1.., ..) => Ok(Piece::Data(bytes.split_to(most).freeze())),
            (0, false, _) => Ok(Piece::Missing),
            (0, true, Self::Close) => Ok(Piece::End),
            (0, true, _) => Err(Fault::Cut),
        }
    }
}
