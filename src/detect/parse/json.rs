//! JSON, JSONC and JSON5, over the scanner of `jsonc-parser`.
//!
//! Owns the grammar, so that nesting costs no stack and spans and order are the file's. It forgives what editors
//! and tools forgive: comments, trailing and missing commas, and values one after another (JSON lines).

use jsonc_parser::Scanner;
use jsonc_parser::ScannerOptions;
use jsonc_parser::tokens::Token;

use super::tree::Tree;
use super::{Document, Quote, Value, as_text, dotenv};

/// Reads the file; `None` where brackets, keys and values do not fit together.
pub(super) fn parse(bytes: &[u8], start: usize) -> Option<Document> {
    let text = as_text(bytes);
    let mut scanner = Scanner::new(text.get(start..)?, &ScannerOptions::default());
    let mut tree = Tree::new(bytes);
    let mut colon = false;
    while let Some(token) = scanner.scan().ok()? {
        let span = start + scanner.token_start()..start + scanner.token_end();
        let fits = match token {
            Token::OpenBrace | Token::OpenBracket => {
                let fits = tree.depth() == 0 || tree.in_list() || colon;
                colon = false;
                fits && tree.open(token == Token::OpenBracket)
            }
            Token::CloseBrace => !tree.in_list() && !colon && tree.close(),
            Token::CloseBracket => tree.in_list() && tree.close(),
            Token::Comma => !colon && tree.depth() > 0,
            Token::Colon => {
                let fits = !colon && !tree.in_list() && tree.depth() > 0 && !tree.expects_key();
                colon = true;
                fits
            }
            Token::CommentLine(_) | Token::CommentBlock(_) => {
                dotenv::commented(bytes, span, &mut tree.document);
                true
            }
            Token::String(_) | Token::Word(_) | Token::Number(_) | Token::Boolean(_) | Token::Null
                if tree.expects_key() =>
            {
                let quotes = usize::from(matches!(token, Token::String(_)));
                tree.key(Some(span.start + quotes..span.end - quotes));
                true
            }
            Token::String(text) => {
                let fits = tree.depth() == 0 || tree.in_list() || colon;
                colon = false;
                let quote = if bytes.get(span.start) == Some(&b'"') { Quote::Double } else { Quote::Single };
                let decoded = match text {
                    std::borrow::Cow::Owned(text) => Some(text.into_bytes().into()),
                    std::borrow::Cow::Borrowed(_) => None,
                };
                tree.scalar(Value { span: span.start + 1..span.end - 1, quote, decoded, comment: false });
                fits
            }
            Token::Number(_) => {
                let fits = tree.depth() > 0 && (tree.in_list() || colon);
                colon = false;
                tree.scalar(Value::bare(span));
                fits
            }
            Token::Boolean(_) | Token::Null => {
                colon = false;
                tree.skip();
                true
            }
            Token::Word(_) => false,
        };
        if !fits {
            return None;
        }
    }
    (tree.depth() == 0).then_some(tree.document)
}
