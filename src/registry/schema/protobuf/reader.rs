//! Words, numbers and strings of a `.proto` text.

use super::{MAX_NAME_BYTES, ProtobufError};

pub(super) struct Reader {
    data: Vec<char>,
    position: usize,
    line: usize,
    line_start: usize,
}

impl Reader {
    pub fn of(text: &str) -> Reader {
        Reader { data: text.chars().collect(), position: 0, line: 0, line_start: 0 }
    }

    /// The line and the column of the next character.
    pub fn location(&self) -> (usize, usize) {
        (self.line + 1, self.position + 1 - self.line_start)
    }

    pub fn error(&self, message: impl std::fmt::Display) -> ProtobufError {
        self.error_at(self.location(), message)
    }

    pub fn error_at(&self, (line, column): (usize, usize), message: impl std::fmt::Display) -> ProtobufError {
        ProtobufError::new(format!("Syntax error in :{line}:{column}: {message}"))
    }

    pub fn is_at_end(&mut self) -> Result<bool, ProtobufError> {
        self.skip_white_space()?;
        Ok(self.position == self.data.len())
    }

    /// Reads the next character that is no white space.
    pub fn read_char(&mut self) -> Result<char, ProtobufError> {
        let found = self.peek()?;
        self.position += 1;
        Ok(found)
    }

    pub fn require(&mut self, wanted: char) -> Result<(), ProtobufError> {
        match self.read_char()? {
            found if found == wanted => Ok(()),
            found => Err(self.error(format_args!("expected '{wanted}' but was '{found}'"))),
        }
    }

    pub fn peek(&mut self) -> Result<char, ProtobufError> {
        self.skip_white_space()?;
        self.data.get(self.position).copied().ok_or_else(|| self.error("unexpected end of file"))
    }

    /// Reads a character if it is the next one.
    pub fn take(&mut self, wanted: char) -> Result<bool, ProtobufError> {
        let is_next = self.peek()? == wanted;
        self.position += usize::from(is_next);
        Ok(is_next)
    }

    /// Makes the character that was read last the next one.
    pub fn push_back(&mut self) {
        self.position = self.position.saturating_sub(1);
    }

    pub fn read_string(&mut self) -> Result<String, ProtobufError> {
        match self.peek()? {
            '"' | '\'' => self.read_quoted(),
            _ => self.read_word(),
        }
    }

    pub fn read_quoted(&mut self) -> Result<String, ProtobufError> {
        let mut quote = self.read_char()?;
        if quote != '"' && quote != '\'' {
            return Err(self.error("expected quoted string"));
        }
        let mut text = String::new();
        while let Some(&found) = self.data.get(self.position) {
            self.position += 1;
            if found == quote {
                // Strings that follow each other are one.
                if !matches!(self.peek()?, '"' | '\'') {
                    return Ok(text);
                }
                quote = self.read_char()?;
                continue;
            }
            let found = if found == '\\' { self.read_escape()? } else { found };
            text.push(found);
            if found == '\n' {
                self.new_line();
            }
        }
        Err(self.error("unterminated string"))
    }

    fn read_escape(&mut self) -> Result<char, ProtobufError> {
        let Some(&found) = self.data.get(self.position) else { return Err(self.error("unexpected end of file")) };
        self.position += 1;
        Ok(match found {
            'a' => '\u{7}',
            'b' => '\u{8}',
            'f' => '\u{c}',
            'n' => '\n',
            'r' => '\r',
            't' => '\t',
            'v' => '\u{b}',
            'x' | 'X' => return self.read_numeric_escape(16, 2),
            '0'..='7' => {
                self.position -= 1;
                return self.read_numeric_escape(8, 3);
            }
            other => other,
        })
    }

    fn read_numeric_escape(&mut self, radix: u32, digits: usize) -> Result<char, ProtobufError> {
        let mut value = None;
        for _ in 0..digits {
            let Some(digit) = self.data.get(self.position).and_then(|found| found.to_digit(radix)) else { break };
            value = Some(value.unwrap_or(0) * radix + digit);
            self.position += 1;
        }
        value.and_then(char::from_u32).ok_or_else(|| self.error("expected a digit after \\x or \\X"))
    }

    /// Reads a name, with or without parentheses or brackets around it.
    pub fn read_name(&mut self) -> Result<String, ProtobufError> {
        self.read_wrapped(false, true)
    }

    /// Reads a part of a dotted name of an option; one in parentheses keeps them.
    pub fn read_part(&mut self) -> Result<String, ProtobufError> {
        self.read_wrapped(true, false)
    }

    fn read_wrapped(&mut self, keep: bool, dots: bool) -> Result<String, ProtobufError> {
        let open = self.peek()?;
        let close = match open {
            '(' => ')',
            '[' => ']',
            _ => return self.word(dots),
        };
        self.position += 1;
        let word = self.read_word()?;
        if self.read_char()? != close {
            return Err(self.error(format_args!("expected '{close}'")));
        }
        Ok(if keep { format!("{open}{word}{close}") } else { word })
    }

    /// Reads the name of a type, or the types of a map.
    pub fn read_type(&mut self) -> Result<String, ProtobufError> {
        let word = self.read_word()?;
        self.read_type_from(word)
    }

    pub fn read_type_from(&mut self, word: String) -> Result<String, ProtobufError> {
        self.read_type_within(word, 0)
    }

    fn read_type_within(&mut self, word: String, depth: usize) -> Result<String, ProtobufError> {
        if word == "map" {
            if depth > 2 {
                return Err(self.error("maps are nested too deeply"));
            }
            self.expect_in_map('<')?;
            let key = self.read_word()?;
            let key = self.read_type_within(key, depth + 1)?;
            self.expect_in_map(',')?;
            let value = self.read_word()?;
            let value = self.read_type_within(value, depth + 1)?;
            self.expect_in_map('>')?;
            return Ok(format!("map<{key}, {value}>"));
        }
        let mut name = word;
        while self.peek()? == '.' {
            self.position += 1;
            name.push('.');
            name.push_str(&self.read_word()?);
            if name.len() > MAX_NAME_BYTES {
                return Err(self.error("the name is too long"));
            }
        }
        Ok(name)
    }

    fn expect_in_map(&mut self, wanted: char) -> Result<(), ProtobufError> {
        match self.read_char()? == wanted {
            true => Ok(()),
            false => Err(self.error(format_args!("expected '{wanted}'"))),
        }
    }

    pub fn read_word(&mut self) -> Result<String, ProtobufError> {
        self.word(true)
    }

    /// Reads the name of a field or a constant.
    pub fn read_word_without_leading_digit(&mut self) -> Result<String, ProtobufError> {
        self.skip_white_space()?;
        let (line, column) = self.location();
        let word = self.word(true)?;
        if word.starts_with(|first: char| first.is_ascii_digit()) {
            // This message of Wire counts columns from zero.
            return Err(self.error_at((line, column - 1), "field and constant names cannot start with a digit"));
        }
        Ok(word)
    }

    fn word(&mut self, dots: bool) -> Result<String, ProtobufError> {
        self.skip_white_space()?;
        let rest = &self.data[self.position..];
        let is_part = |found: &&char| match **found {
            '.' => dots,
            '_' | '-' => true,
            other => other.is_ascii_alphanumeric(),
        };
        let word: String = rest.iter().take_while(is_part).take(MAX_NAME_BYTES + 1).collect();
        if word.len() > MAX_NAME_BYTES {
            return Err(self.error("the name is too long"));
        }
        if word.is_empty() {
            return Err(self.error("expected a word"));
        }
        self.position += word.len();
        Ok(word)
    }

    pub fn read_int(&mut self) -> Result<i32, ProtobufError> {
        let word = self.read_word()?;
        let hexadecimal = word.strip_prefix("0x").or_else(|| word.strip_prefix("0X"));
        let (digits, radix) = hexadecimal.map_or((word.as_str(), 10), |digits| (digits, 16));
        i32::from_str_radix(digits, radix).map_err(|_| self.error(format_args!("expected an integer but was {digits}")))
    }

    /// Reads the comment that may follow a declaration on its line.
    pub fn skip_trailing_comment(&mut self) -> Result<(), ProtobufError> {
        while matches!(self.data.get(self.position), Some(' ' | '\t')) {
            self.position += 1;
        }
        match self.data.get(self.position) {
            Some('/') => self.position += 1,
            Some(_) => return Ok(()),
            None => {}
        }
        match self.data.get(self.position) {
            Some('/') => {
                self.position += 1;
                self.skip_line();
                Ok(())
            }
            Some('*') => {
                self.position += 1;
                self.skip_trailing_block()
            }
            _ => Err(self.error("expected '//' or '/*'")),
        }
    }

    fn skip_trailing_block(&mut self) -> Result<(), ProtobufError> {
        // The first character may be a space that is not part of the comment.
        if self.data.get(self.position) == Some(&' ') {
            self.position += 1;
        }
        loop {
            match self.data.get(self.position..).unwrap_or_default() {
                [] => return Err(self.error("trailing comment must be closed")),
                ['*', '/', ..] => break,
                _ => self.position += 1,
            }
        }
        self.position += 2;
        while let Some(&found) = self.data.get(self.position) {
            self.position += 1;
            match found {
                '\n' => {
                    self.new_line();
                    break;
                }
                ' ' | '\t' | '\r' => {}
                _ => return Err(self.error("no syntax may follow trailing comment")),
            }
        }
        Ok(())
    }

    fn skip_white_space(&mut self) -> Result<(), ProtobufError> {
        while let Some(&found) = self.data.get(self.position) {
            match found {
                '\n' => {
                    self.position += 1;
                    self.new_line();
                }
                ' ' | '\t' | '\r' => self.position += 1,
                '/' => self.skip_comment()?,
                _ => return Ok(()),
            }
        }
        Ok(())
    }

    fn skip_comment(&mut self) -> Result<(), ProtobufError> {
        self.position += 1;
        let kind = self.data.get(self.position).copied();
        self.position = (self.position + 1).min(self.data.len());
        match kind {
            Some('/') => {
                if self.data.get(self.position) == Some(&' ') {
                    self.position += 1;
                }
                if self.position == self.data.len() {
                    return Err(ProtobufError::new(format!(
                        "startIndex: {} > endIndex: {}",
                        self.position,
                        self.position - 1
                    )));
                }
                self.skip_line();
                Ok(())
            }
            Some('*') => {
                while self.position + 1 < self.data.len() {
                    match (self.data[self.position], self.data[self.position + 1]) {
                        ('*', '/') => {
                            self.position += 2;
                            return Ok(());
                        }
                        ('\n', _) => self.new_line_after(),
                        _ => self.position += 1,
                    }
                }
                Err(self.error("unterminated comment"))
            }
            _ => Err(self.error("unexpected '/'")),
        }
    }

    fn skip_line(&mut self) {
        while let Some(&found) = self.data.get(self.position) {
            self.position += 1;
            if found == '\n' {
                self.new_line();
                return;
            }
        }
    }

    fn new_line_after(&mut self) {
        self.position += 1;
        self.new_line();
    }

    fn new_line(&mut self) {
        self.line += 1;
        self.line_start = self.position;
    }
}
