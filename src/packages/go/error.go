package ottla

import "strings"

// quotedLines is how many lines of the log an error's message has.
const quotedLines = 5

// Error is the error of a broker that cannot start, or that refuses a request.
type Error struct {
	// Message says what failed.
	Message string
	// Code is Kafka's name of the error, such as TOPIC_ALREADY_EXISTS, if the broker refused a request.
	Code string
	// LogLines has the last lines of the broker's log.
	LogLines []string
	cause    error
}

// Error returns the message and the end of the log.
func (e *Error) Error() string {
	return strings.Join(append([]string{"ottla: " + e.Message}, last(e.LogLines, quotedLines)...), "\n")
}

// Unwrap returns the cause, which may be nil.
func (e *Error) Unwrap() error { return e.cause }

func last(lines []string, count int) []string { return lines[max(0, len(lines)-count):] }
