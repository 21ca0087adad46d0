// What franz-go does over TLS and SASL: one line for each case, with the client, the case, and `ok` or the error. The
// argument is a directory with certificates and the file `addresses`.
package main

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"net"
	"os"
	"regexp"
	"runtime/debug"
	"strings"
	"sync"
	"time"

	"github.com/twmb/franz-go/pkg/kgo"
	"github.com/twmb/franz-go/pkg/kmsg"
	"github.com/twmb/franz-go/pkg/sasl"
	"github.com/twmb/franz-go/pkg/sasl/oauth"
	"github.com/twmb/franz-go/pkg/sasl/plain"
	"github.com/twmb/franz-go/pkg/sasl/scram"
)

const (
	seconds      = 60 * time.Second
	errorSeconds = 10 * time.Second
	// SHORT_SESSIONS end after 4 seconds, as these tokens do: between the second record and the third.
	tokenSeconds = 4 * time.Second
	pause        = 3 * time.Second
)

var (
	directory  = os.Args[1]
	addresses  = readAddresses()
	mechanisms = []string{"PLAIN", "SCRAM-SHA-256", "SCRAM-SHA-512", "OAUTHBEARER"}
)

// access is how a client connects; everything that differs between cases.
type access struct {
	name, listener         string
	address                string // of the listener, unless it is set
	withoutTLS, withTLS    bool   // other than the listener
	certificate, authority string
	mechanism              string
	user, password         string
	isToken                bool
	lifetime               time.Duration
	pause                  time.Duration // after each record
}

func readAddresses() map[string]string {
	found := map[string]string{}
	for line := range strings.Lines(must(os.ReadFile(directory + "/addresses"))) {
		name, address, _ := strings.Cut(strings.TrimSpace(line), "=")
		found[name] = address
	}
	return found
}

func must(content []byte, err error) string {
	if err != nil {
		panic(err)
	}
	return string(content)
}

func succeeding() []access {
	cases := []access{{name: "SSL", listener: "SSL"}, {name: "SSL with a certificate", listener: "MTLS", certificate: "client"}}
	for _, listener := range []string{"SASL_PLAINTEXT", "SASL_SSL"} {
		for _, mechanism := range mechanisms {
			cases = append(cases, access{name: listener + " " + mechanism, listener: listener, mechanism: mechanism})
		}
	}
	for _, mechanism := range mechanisms[:2] {
		cases = append(cases, access{name: "session that expires, " + mechanism, listener: "SHORT_SESSIONS", mechanism: mechanism, pause: pause})
	}
	return append(cases, access{name: "token that expires in the session", listener: "SASL_PLAINTEXT", mechanism: "OAUTHBEARER",
		lifetime: tokenSeconds, pause: pause})
}

func failing() []access {
	var cases []access
	for _, mechanism := range mechanisms[:3] {
		cases = append(cases,
			access{name: "wrong password, " + mechanism, listener: "SASL_PLAINTEXT", mechanism: mechanism, password: "wrong"},
			access{name: "unknown user, " + mechanism, listener: "SASL_SSL", mechanism: mechanism, user: "nobody"})
	}
	return append(cases,
		access{name: "expired token", listener: "SASL_PLAINTEXT", mechanism: "OAUTHBEARER", lifetime: -time.Minute},
		access{name: "mechanism that is not enabled", listener: "SCRAM_ONLY", mechanism: "PLAIN"},
		access{name: "expired certificate of the broker", listener: "EXPIRED"},
		access{name: "untrusted authority", listener: "SSL", authority: "other-authority"},
		access{name: "wrong host name", listener: "SSL", address: strings.Replace(addresses["SSL"], "localhost", "127.0.0.1", 1)},
		access{name: "no certificate", listener: "MTLS"},
		access{name: "untrusted certificate", listener: "MTLS", certificate: "untrusted"},
		access{name: "expired certificate", listener: "MTLS", certificate: "expired"},
		access{name: "no TLS at a port with TLS", listener: "SSL", withoutTLS: true},
		access{name: "TLS at a port without TLS", listener: "PLAINTEXT", withTLS: true},
		access{name: "no SASL at a port with SASL", listener: "SASL_PLAINTEXT"})
}

func (a access) options() []kgo.Opt {
	options := []kgo.Opt{kgo.SeedBrokers(or(a.address, addresses[a.listener])), kgo.RequestRetries(0), kgo.AllowAutoTopicCreation()}
	plainText := a.listener == "PLAINTEXT" || a.listener == "SASL_PLAINTEXT" || a.listener == "SCRAM_ONLY" ||
		a.listener == "SHORT_SESSIONS"
	if a.withTLS || !plainText && !a.withoutTLS {
		options = append(options, kgo.Dialer((&tls.Dialer{NetDialer: &net.Dialer{}, Config: a.tls()}).DialContext))
	}
	if a.mechanism != "" {
		options = append(options, kgo.SASL(a.sasl()))
	}
	return options
}

func (a access) tls() *tls.Config {
	roots := x509.NewCertPool()
	roots.AppendCertsFromPEM([]byte(must(os.ReadFile(directory + "/" + or(a.authority, "authority") + ".pem"))))
	config := &tls.Config{RootCAs: roots}
	if a.certificate != "" {
		file := directory + "/" + a.certificate
		pair, err := tls.LoadX509KeyPair(file+".pem", file+".key")
		if err != nil {
			panic(err)
		}
		// Presented even if the broker does not name its authority.
		config.GetClientCertificate = func(*tls.CertificateRequestInfo) (*tls.Certificate, error) { return &pair, nil }
	}
	return config
}

func (a access) sasl() sasl.Mechanism {
	user, password := or(a.user, "alice"), or(a.password, "alice-secret")
	switch a.mechanism {
	case "PLAIN":
		return plain.Auth{User: user, Pass: password}.AsMechanism()
	case "SCRAM-SHA-256":
		return scram.Auth{User: user, Pass: password, IsToken: a.isToken}.AsSha256Mechanism()
	case "SCRAM-SHA-512":
		return scram.Auth{User: user, Pass: password, IsToken: a.isToken}.AsSha512Mechanism()
	}
	return oauth.Oauth(func(context.Context) (oauth.Auth, error) { return oauth.Auth{Token: a.token(user)}, nil })
}

// token returns an unsigned JSON Web Token.
func (a access) token(user string) string {
	part := func(fields map[string]any) string {
		text, _ := json.Marshal(fields)
		return base64.RawURLEncoding.EncodeToString(text)
	}
	lifetime := a.lifetime
	if lifetime == 0 {
		lifetime = time.Hour
	}
	now := time.Now()
	claims := map[string]any{"sub": user, "iat": now.Add(-2 * time.Hour).Unix(), "exp": now.Add(lifetime).Unix()}
	return part(map[string]any{"alg": "none"}) + "." + part(claims) + "."
}

func or(text, otherwise string) string {
	if text == "" {
		return otherwise
	}
	return text
}

// works produces three records and reads them in a group.
func (a access) works() error {
	ctx, cancel := context.WithTimeout(context.Background(), seconds)
	defer cancel()
	topic := fmt.Sprintf("security-%d", time.Now().UnixNano())
	client, err := kgo.NewClient(append(a.options(), kgo.DefaultProduceTopic(topic), kgo.ConsumeTopics(topic),
		kgo.ConsumerGroup(topic), kgo.ConsumeResetOffset(kgo.NewOffset().AtStart()), kgo.RequestRetries(20))...)
	if err != nil {
		return err
	}
	defer client.Close()
	for _, value := range []string{"one", "two", "three"} {
		if err := client.ProduceSync(ctx, kgo.StringRecord(value)).FirstErr(); err != nil {
			return err
		}
		time.Sleep(a.pause)
	}
	for read := 0; read < 3; {
		fetches := client.PollFetches(ctx)
		if err := fetches.Err(); err != nil {
			return err
		}
		read += fetches.NumRecords()
	}
	return client.CommitUncommittedOffsets(ctx)
}

// fails returns the error of a client that asks for the metadata.
func (a access) fails() error {
	ctx, cancel := context.WithTimeout(context.Background(), errorSeconds)
	defer cancel()
	client, err := kgo.NewClient(a.options()...)
	if err != nil {
		return err
	}
	defer client.Close()
	return client.Ping(ctx)
}

// delegationToken creates a token as alice and returns how to use it.
func delegationToken(mechanism string) (access, error) {
	ctx, cancel := context.WithTimeout(context.Background(), seconds)
	defer cancel()
	client, err := kgo.NewClient(access{listener: "SASL_PLAINTEXT", mechanism: mechanism}.options()...)
	if err != nil {
		return access{}, err
	}
	defer client.Close()
	request := kmsg.NewPtrCreateDelegationTokenRequest()
	request.MaxLifetimeMillis = -1
	token, err := request.RequestWith(ctx, client)
	if err != nil {
		return access{}, err
	}
	if token.ErrorCode != 0 {
		return access{}, fmt.Errorf("error code %d", token.ErrorCode)
	}
	hmac := base64.StdEncoding.EncodeToString(token.HMAC)
	return access{listener: "SASL_SSL", mechanism: mechanism, user: token.TokenID, password: hmac, isToken: true}, nil
}

func tokenWorks(mechanism string) error {
	token, err := delegationToken(mechanism)
	if err != nil {
		return err
	}
	return token.works()
}

var varying = regexp.MustCompile(`(localhost:|127\.0\.0\.1:|current time )\d\S+`)

func outcome(err error) string {
	if err == nil {
		return "ok"
	}
	text := varying.ReplaceAllString(err.Error(), "${1}X")
	return strings.Join(strings.Fields(text), " ")
}

func version() string {
	info, _ := debug.ReadBuildInfo()
	for _, module := range info.Deps {
		if module.Path == "github.com/twmb/franz-go" {
			return strings.TrimPrefix(module.Version, "v")
		}
	}
	return "?"
}

func main() {
	type step struct {
		name string
		run  func() error
	}
	var steps []step
	for _, it := range succeeding() {
		steps = append(steps, step{it.name, it.works})
	}
	for _, mechanism := range mechanisms[1:3] {
		steps = append(steps, step{"delegation token, " + mechanism, func() error { return tokenWorks(mechanism) }})
	}
	for _, it := range failing() {
		steps = append(steps, step{it.name, it.fails})
	}
	outcomes := make([]string, len(steps))
	var all sync.WaitGroup
	for index, step := range steps {
		all.Go(func() { outcomes[index] = outcome(step.run()) })
	}
	all.Wait()
	for index, step := range steps {
		fmt.Printf("franz-go %s\t%s\t%s\n", version(), step.name, outcomes[index])
	}
}
