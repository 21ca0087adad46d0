package ottla

import (
	"bytes"
	"sync"
)

const (
	maxLines = 10_000
	// maxLineLength is the number of bytes of a line that are kept.
	maxLineLength = 16_384
)

// logLines keeps the last lines of a broker's log. It is an io.Writer.
type logLines struct {
	mutex sync.Mutex
	lines []string
	part  []byte
}

// Write adds a piece of the log, which may end within a line.
func (l *logLines) Write(piece []byte) (int, error) {
	l.mutex.Lock()
	defer l.mutex.Unlock()
	rest := piece
	for {
		end := bytes.IndexByte(rest, '\n')
		if end < 0 {
			l.extend(rest)
			return len(piece), nil
		}
		l.extend(rest[:end])
		l.end()
		rest = rest[end+1:]
	}
}

// close ends a line that has no line end: the process has ended.
func (l *logLines) close() {
	l.mutex.Lock()
	defer l.mutex.Unlock()
	if len(l.part) > 0 {
		l.end()
	}
}

func (l *logLines) all() []string {
	l.mutex.Lock()
	defer l.mutex.Unlock()
	return append([]string{}, last(l.lines, maxLines)...)
}

func (l *logLines) extend(piece []byte) {
	l.part = append(l.part, piece[:min(len(piece), maxLineLength-len(l.part))]...)
}

func (l *logLines) end() {
	l.lines = append(l.lines, string(l.part))
	l.part = l.part[:0]
	// One copy for many lines.
	if len(l.lines) >= 2*maxLines {
		l.lines = append([]string{}, last(l.lines, maxLines)...)
	}
}
