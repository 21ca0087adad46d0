package ottla

import (
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"strings"
	"time"
)

const (
	adminTimeout    = 30 * time.Second
	maxAnswerLength = 1 << 20
	// maxRequests is how many requests are sent to a broker at a time; it closes connections beyond 256.
	maxRequests = 64
)

// admin sends requests to admin ports. The broker closes each connection after one request; proxies are not for localhost.
var admin = &http.Client{Transport: &http.Transport{DisableKeepAlives: true}, Timeout: adminTimeout}

// post sends a request to the admin port, and returns the error that the broker answers.
func (b *Broker) post(action string, body any) error {
	b.requests <- struct{}{}
	defer func() { <-b.requests }()
	process, url := b.current(), b.AdminURL()
	if !process.running() {
		return process.failure(action + ": the broker does not run: " + process.end())
	}
	status, answer, err := send(url+"/"+action, body, b.options.setting("ottla.admin.token"))
	if err != nil {
		failed := process.failure(action + ": " + err.Error())
		failed.cause = err
		return failed
	}
	if status == http.StatusOK {
		return nil
	}
	var refused struct{ Error, Message string }
	if json.Unmarshal(answer, &refused) != nil {
		refused.Error = strings.TrimSpace(string(answer))
	}
	why := refused.Error
	if refused.Message != "" {
		why += ": " + refused.Message
	}
	if why == "" {
		why = fmt.Sprintf("HTTP status %d", status)
	}
	failed := process.failure(action + ": " + why)
	// Only Kafka's errors have a message beside their name.
	if refused.Message != "" {
		failed.Code = refused.Error
	}
	return failed
}

func send(url string, body any, token string) (status int, answer []byte, err error) {
	var text []byte
	if body != nil {
		if text, err = json.Marshal(body); err != nil {
			return 0, nil, err
		}
	}
	request, err := http.NewRequest(http.MethodPost, url, bytes.NewReader(text))
	if err != nil {
		return 0, nil, err
	}
	request.Header.Set("X-Ottla-Admin", "1")
	request.Header.Set("Content-Type", "application/json")
	if token != "" {
		request.Header.Set("Authorization", "Bearer "+token)
	}
	response, err := admin.Do(request)
	if err != nil {
		return 0, nil, err
	}
	defer response.Body.Close()
	answer, err = io.ReadAll(io.LimitReader(response.Body, maxAnswerLength))
	return response.StatusCode, answer, err
}
