//! TOML, over the events of `toml_parser`, which `toml_edit` itself reads with.
//!
//! Owns the path of tables and dotted keys. Events come in the order of the file, which a parsed document does
//! not keep.

use std::borrow::Cow;
use std::ops::Range;

use toml_parser::decoder::Encoding;
use toml_parser::parser::{EventReceiver, RecursionGuard, parse_document};
use toml_parser::{ErrorSink, Raw, Source, Span};

use super::tree::Tree;
use super::{Document, Quote, Value, as_text, dotenv, slice};

/// Arrays in arrays; the crate's parser calls itself for each.
const MAX_DEPTH: u32 = 80;

/// Reads the file; `None` where it has an error.
pub(super) fn parse(bytes: &[u8], start: usize) -> Option<Document> {
    let text = as_text(bytes);
    let source = Source::new(text.get(start..)?);
    let tokens = source.lex().into_vec();
    let mut reader = Reader { tree: Tree::new(bytes), source, start, deep: false };
    let mut errors: Vec<toml_parser::ParseError> = Vec::new();
    parse_document(&tokens, &mut RecursionGuard::new(&mut reader, MAX_DEPTH), &mut errors);
    (errors.is_empty() && !reader.deep).then_some(reader.tree.document)
}

struct Reader<'a> {
    tree: Tree<'a>,
    source: Source<'a>,
    start: usize,
    deep: bool,
}

impl Reader<'_> {
    fn span(&self, span: Span) -> Range<usize> {
        self.start + span.start()..self.start + span.end()
    }

    fn open(&mut self, list: bool) -> bool {
        let opened = self.tree.open(list);
        self.deep |= !opened;
        opened
    }
}

impl EventReceiver for Reader<'_> {
    fn std_table_open(&mut self, _: Span, _: &mut dyn ErrorSink) {
        self.tree.root();
    }

    fn std_table_close(&mut self, _: Span, _: &mut dyn ErrorSink) {
        self.tree.enter();
    }

    fn array_table_open(&mut self, _: Span, _: &mut dyn ErrorSink) {
        self.tree.root();
    }

    fn array_table_close(&mut self, _: Span, _: &mut dyn ErrorSink) {
        self.tree.enter();
    }

    fn inline_table_open(&mut self, _: Span, _: &mut dyn ErrorSink) -> bool {
        self.open(false)
    }

    fn inline_table_close(&mut self, _: Span, _: &mut dyn ErrorSink) {
        self.tree.close();
    }

    fn array_open(&mut self, _: Span, _: &mut dyn ErrorSink) -> bool {
        self.open(true)
    }

    fn array_close(&mut self, _: Span, _: &mut dyn ErrorSink) {
        self.tree.close();
    }

    fn simple_key(&mut self, span: Span, kind: Option<Encoding>, _: &mut dyn ErrorSink) {
        let span = self.span(span);
        let quotes = usize::from(kind.is_some());
        self.tree.key(Some(span.start + quotes..(span.end - quotes).max(span.start + quotes)));
    }

    fn scalar(&mut self, span: Span, kind: Option<Encoding>, error: &mut dyn ErrorSink) {
        let Some(raw) = self.source.get(span) else { return };
        let (text, raw_span) = (raw.as_str(), span);
        let span = self.span(span);
        let Some(kind) = kind else {
            return if matches!(text, "true" | "false") {
                self.tree.skip()
            } else {
                self.tree.scalar(Value::bare(span))
            };
        };
        let (quote, width) = match kind {
            Encoding::LiteralString => (Quote::Single, 1),
            Encoding::BasicString => (Quote::Double, 1),
            Encoding::MlLiteralString | Encoding::MlBasicString => (Quote::Block, 3),
        };
        let mut span = span.start + width..(span.end.saturating_sub(width)).max(span.start + width);
        if quote == Quote::Block {
            let text = slice(self.tree.bytes, span.clone());
            span.start += if text.starts_with(b"\r\n") { 2 } else { usize::from(text.starts_with(b"\n")) };
        }
        let mut decoded = Cow::Borrowed("");
        let _ = Raw::new_unchecked(text, Some(kind), raw_span).decode_scalar(&mut decoded, error);
        let differs = decoded.as_bytes() != slice(self.tree.bytes, span.clone());
        let decoded = differs.then(|| decoded.into_owned().into_bytes().into());
        self.tree.scalar(Value { span, quote, decoded, comment: false });
    }

    fn comment(&mut self, span: Span, _: &mut dyn ErrorSink) {
        dotenv::commented(self.tree.bytes, self.span(span), &mut self.tree.document);
    }
}
