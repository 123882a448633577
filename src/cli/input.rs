//! What people type: secrets (never echoed, never argv) and answers to questions.
//!
//! Owns reading a value from a hidden prompt, standard input or a file descriptor. Must never put
//! a value into an error.

use std::{
    fs::File,
    io::{self, BufRead, BufReader, IsTerminal, Read, Write},
    os::fd::RawFd,
};

use zeroize::Zeroizing;

use crate::{
    api::{SecretText, problem::Code},
    error::{Error, Result},
};

/// The longest value that is accepted, in bytes.
pub const MAX_VALUE: usize = 64 * 1024;

/// A secret and where it came from.
pub struct Given {
    /// The value.
    pub value: SecretText,
    /// `prompt`, `stdin` or `fd`.
    pub source: &'static str,
}

/// Reads a secret: from `fd` where one is named, from a hidden prompt on a terminal, else from
/// standard input to its end.
///
/// # Errors
/// Nothing or too much was given, or it is not text.
pub fn secret(prompt: &str, fd: Option<RawFd>) -> Result<Given> {
    if let Some(fd) = fd {
        return Ok(Given { value: from_fd(fd)?, source: "fd" });
    }
    if io::stdin().is_terminal() {
        let typed = Zeroizing::new(rpassword::prompt_password(format!("{prompt}: ")).map_err(|e| {
            Error::new(Code::Io, format!("the terminal cannot be read: {e}")).hint("pipe the value to standard input")
        })?);
        return Ok(Given { value: checked(typed.as_bytes())?, source: "prompt" });
    }
    Ok(Given { value: read_all(&mut io::stdin().lock())?, source: "stdin" })
}

/// Reads a secret from a file descriptor to its end.
///
/// # Errors
/// It is not open for reading, or holds nothing or too much.
pub fn from_fd(fd: RawFd) -> Result<SecretText> {
    if fd < 0 {
        return Err(Error::new(Code::Usage, format!("{fd} is no file descriptor")));
    }
    // Opening it by name needs no unsafe, and works for pipes and files alike.
    let mut file = File::open(format!("/dev/fd/{fd}")).map_err(|e| {
        Error::new(Code::Io, format!("file descriptor {fd} cannot be read: {e}"))
            .hint("give it to the command, as in `hallpass credential add NAME --fd 3 3< FILE`")
    })?;
    read_all(&mut file)
}

/// Reads a secret to the end of `from`; one line end at its end is not part of it.
///
/// # Errors
/// Nothing or too much was given, or it is not text.
pub fn read_all(from: &mut impl Read) -> Result<SecretText> {
    let mut bytes = Zeroizing::new(Vec::with_capacity(MAX_VALUE + 2));
    from.take(MAX_VALUE as u64 + 2)
        .read_to_end(&mut bytes)
        .map_err(|e| Error::new(Code::Io, format!("the value cannot be read: {e}")))?;
    let value = bytes.strip_suffix(b"\n").map_or(bytes.as_slice(), |rest| rest.strip_suffix(b"\r").unwrap_or(rest));
    checked(value)
}

fn checked(value: &[u8]) -> Result<SecretText> {
    if value.is_empty() {
        return Err(Error::new(Code::InvalidValue, "the value is empty")
            .hint("type it at the prompt, pipe it to standard input, or name a file descriptor"));
    }
    if value.len() > MAX_VALUE {
        return Err(Error::new(Code::InvalidValue, format!("the value is longer than {MAX_VALUE} bytes")));
    }
    let text = std::str::from_utf8(value)
        .map_err(|_| Error::new(Code::InvalidValue, "the value is not text (UTF-8)").hint("encode it, as in base64"))?;
    Ok(SecretText::new(text))
}

/// Asks a question on the controlling terminal, whatever standard input is; `None` without one.
pub fn ask(question: &str) -> Option<String> {
    let mut terminal = File::options().read(true).write(true).open("/dev/tty").ok()?;
    write!(terminal, "{question} ").and_then(|()| terminal.flush()).ok()?;
    let mut answer = String::new();
    BufReader::new(terminal).read_line(&mut answer).ok()?;
    Some(answer.trim().to_owned())
}

/// Asks for a yes; with `yes`, does not ask.
///
/// # Errors
/// The answer was no, or there is no terminal to ask on.
pub fn confirm(question: &str, yes: bool) -> Result<()> {
    if yes {
        return Ok(());
    }
    match ask(&format!("{question} [y/N]")) {
        Some(answer) if matches!(answer.to_ascii_lowercase().as_str(), "y" | "yes") => Ok(()),
        Some(_) => Err(Error::new(Code::Usage, "nothing was done").hint("answer y, or pass --yes")),
        None => Err(Error::new(Code::Usage, "there is no terminal to ask on").hint("pass --yes")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(bytes: &[u8]) -> Result<String> {
        read_all(&mut &bytes[..]).map(|text| text.expose().to_owned())
    }

    #[test]
    fn one_line_end_is_no_part_of_a_value() {
        for (bytes, want) in [(&b"a\n"[..], "a"), (b"a\r\n", "a"), (b"a\n\n", "a\n"), (b"a", "a"), (b" a ", " a ")] {
            assert_eq!(read(bytes).unwrap(), want);
        }
    }

    #[test]
    fn what_is_no_value_is_refused_without_being_shown() {
        for bytes in [&b""[..], b"\n", b"\r\n", b"canary\xff", &[b'x'; MAX_VALUE + 1]] {
            let error = read(bytes).unwrap_err();
            assert_eq!(error.code, Code::InvalidValue);
            assert!(!format!("{error:?}").contains("canary"));
        }
        assert!(read(&[b'x'; MAX_VALUE]).is_ok());
        assert_eq!(from_fd(-1).unwrap_err().code, Code::Usage);
        assert_eq!(from_fd(9999).unwrap_err().code, Code::Io);
    }
}
