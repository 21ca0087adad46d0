//! Lines of text that are indented by two spaces for each block that they are in.

use super::ProtobufError;
use crate::schema::nesting::MAX_TOTAL_BYTES;

#[derive(Default)]
pub(super) struct Writer {
    text: String,
    depth: usize,
    is_in_line: bool,
    is_too_large: bool,
}

impl Writer {
    /// Adds text. An empty line has the spaces of the block around its own, as in Confluent's texts.
    pub fn add(&mut self, parts: &[&str]) {
        for part in parts {
            for (index, line) in part.split('\n').enumerate() {
                if index > 0 {
                    self.start_line(self.depth.saturating_sub(1));
                    self.text.push('\n');
                    self.is_in_line = false;
                }
                if !line.is_empty() {
                    self.start_line(self.depth);
                    self.text.push_str(line);
                }
            }
        }
        if self.text.len() > MAX_TOTAL_BYTES {
            self.text.clear();
            self.is_too_large = true;
        }
    }

    fn start_line(&mut self, depth: usize) {
        if !self.is_in_line {
            self.text.extend(std::iter::repeat_n("  ", depth));
            self.is_in_line = true;
        }
    }

    /// Starts a block after some text.
    pub fn open(&mut self, parts: &[&str]) {
        self.add(parts);
        self.depth += 1;
    }

    /// Ends a block, and adds some text.
    pub fn close(&mut self, text: &str) {
        self.depth = self.depth.saturating_sub(1);
        self.add(&[text]);
    }

    pub fn finish(self) -> Result<String, ProtobufError> {
        if self.is_too_large {
            return Err(ProtobufError::new("the text of the schema is too large"));
        }
        Ok(self.text)
    }
}
