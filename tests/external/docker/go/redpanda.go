// Testcontainers' Redpanda module for Go, unmodified, with the image in the first argument in place of its own.
package main

import (
	"context"
	"fmt"
	"log"
	"net/http"
	"os"
	"time"

	"github.com/testcontainers/testcontainers-go"
	"github.com/testcontainers/testcontainers-go/modules/redpanda"
)

func main() {
	ctx, cancel := context.WithTimeout(context.Background(), 2*time.Minute)
	defer cancel()
	check(ctx, "redpanda.Run in Go", false)
	check(ctx, "redpanda.Run in Go with SASL and users", true,
		redpanda.WithEnableSASL(),
		redpanda.WithEnableKafkaAuthorization(),
		redpanda.WithNewServiceAccount("ann", "secret"),
		redpanda.WithNewServiceAccount("bob", "other"),
		redpanda.WithSuperusers("ann"),
		redpanda.WithEnableSchemaRegistryHTTPBasicAuth(),
		redpanda.WithHTTPProxyAuthMethod(redpanda.HTTPProxyAuthMethodHTTPBasic),
		redpanda.WithAdminAPIAuthentication(),
	)
}

// Starts a container, and sends requests to its ports without and with a login.
func check(ctx context.Context, what string, hasUsers bool, options ...redpanda.Option) {
	began := time.Now()
	var all []testcontainers.ContainerCustomizer
	for _, option := range options {
		all = append(all, option)
	}
	container, err := redpanda.Run(ctx, os.Args[1], all...)
	ready := time.Since(began)
	defer func() {
		if container != nil {
			_ = container.Terminate(context.Background())
		}
	}()
	if err != nil {
		log.Panicf("%s: %v", what, err)
	}
	registry, err := container.SchemaRegistryAddress(ctx)
	expect(what, err, nil)
	proxy, err := container.HTTPProxyAddress(ctx)
	expect(what, err, nil)
	for _, url := range []string{registry + "/subjects", proxy + "/topics"} {
		if hasUsers {
			expect(url, status(ctx, url, false), http.StatusUnauthorized)
		}
		expect(url, status(ctx, url, hasUsers), http.StatusOK)
	}
	fmt.Printf("%s: ready in %d ms\n", what, ready.Milliseconds())
}

func status(ctx context.Context, url string, hasLogin bool) int {
	request, err := http.NewRequestWithContext(ctx, http.MethodGet, url, nil)
	expect(url, err, nil)
	if hasLogin {
		request.SetBasicAuth("ann", "secret")
	}
	response, err := http.DefaultClient.Do(request)
	expect(url, err, nil)
	defer response.Body.Close()
	return response.StatusCode
}

func expect(what string, found, expected any) {
	if found != expected {
		log.Panicf("%s: %v in place of %v", what, found, expected)
	}
}
