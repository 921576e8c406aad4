package webhook

import (
	"bytes"
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"io"
	"net"
	"net/http"
	"net/netip"
	"net/url"
	"strconv"
	"strings"
	"time"

	"github.com/quorate/quorate/internal/license"
	"github.com/quorate/quorate/internal/outbound"
)

const (
	// Timeout bounds one attempt, from the name's resolution to the answer.
	Timeout = 15 * time.Second
	// MostBody bounds a message's body, in bytes.
	MostBody = 256 << 10
	// MostResponse is how much is kept of an answer, in bytes.
	MostResponse = 2000
	// MostURL bounds a receiver's URL, in bytes.
	MostURL = 2048
	// mostHost bounds a host's name, as the DNS does.
	mostHost = 253
)

// Config says whom a Sender may call. The zero value calls public addresses, by
// HTTPS.
type Config struct {
	// Allow are networks that may be called, too.
	Allow outbound.Networks
	// Proxy is called instead, if given; whom it calls is its own to decide.
	Proxy *url.URL
	// Roots of the receivers' certificates; nil: the system's.
	Roots *x509.CertPool
	// Resolver; nil: the system's.
	Resolver *net.Resolver
}

// Sender sends messages. Safe for concurrent use.
type Sender struct {
	config        Config
	secure, plain *http.Client
}

// New makes a Sender.
func New(c Config) *Sender {
	return &Sender{config: c, secure: c.client(true), plain: c.client(false)}
}

func (c Config) client(secure bool) *http.Client {
	dialer := outbound.Dialer(func(a netip.Addr) bool { return c.Allow.Allow(a, secure) }, refused)
	dialer.Timeout, dialer.Resolver = Timeout, c.Resolver
	t := &http.Transport{
		DialContext: dialer.DialContext, ForceAttemptHTTP2: true, DisableCompression: true,
		TLSClientConfig: &tls.Config{RootCAs: c.Roots, MinVersion: tls.VersionTLS12},
		MaxIdleConns:    100, MaxIdleConnsPerHost: 4, IdleConnTimeout: 30 * time.Second, MaxResponseHeaderBytes: 16 << 10,
	}
	if c.Proxy != nil {
		t.Proxy = http.ProxyURL(c.Proxy)
		t.DialContext = (&net.Dialer{Timeout: Timeout}).DialContext
	}
	return &http.Client{Transport: t, CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }}
}

func refused() error {
	return license.Errorf(license.CodeForbidden, "use a public address and https, or have the operator allow the network (--webhook-allow)",
		"webhooks may not call this address")
}

// Check says whether a URL can be one of a receiver: what its host resolves to
// is looked at when it is called. Error: CodeInvalidInput.
func (s *Sender) Check(text string) error {
	bad := func(fix, format string, args ...any) error {
		return license.Errorf(license.CodeInvalidInput, fix, format, args...)
	}
	if len(text) > MostURL {
		return bad("use at most 2048 bytes", "the URL is too long")
	}
	u, err := url.Parse(text)
	if err != nil || u.Opaque != "" || strings.ContainsAny(text, " \t\r\n") {
		return bad("give it as https://HOST/PATH", "this is no URL")
	}
	host := strings.TrimSuffix(u.Hostname(), ".")
	port, portErr := strconv.ParseUint(u.Port(), 10, 16)
	switch {
	case host == "" || len(host) > mostHost || host[0] == '.' || strings.Contains(host, ".."):
		return bad("give it as https://HOST/PATH", "this is no URL")
	case u.Port() != "" && (port == 0 || portErr != nil):
		return bad("use one from 1 to 65535, or leave it out", "the URL has no port that exists")
	case u.User != nil:
		return bad("leave them out: messages are signed", "a user and a password in the URL are not sent")
	case u.Fragment != "":
		return bad("leave out what follows #", "a fragment is not sent")
	case u.Scheme == "http" && len(s.config.Allow) == 0:
		return bad("use https", "webhooks are sent by https")
	case u.Scheme != "https" && u.Scheme != "http":
		return bad("use https", "webhooks are not sent by %q", license.Clip(u.Scheme, 16))
	}
	if a, err := netip.ParseAddr(host); err == nil && !s.config.Allow.Allow(a, u.Scheme == "https") {
		return &license.Error{Code: license.CodeInvalidInput, Message: "webhooks may not call this address",
			Fix: "use a public address and https, or have the operator allow the network (--webhook-allow)"}
	}
	return nil
}

// Result is what came of an attempt.
type Result struct {
	At   time.Time
	Took time.Duration
	// Status of the HTTP answer; 0: there was none.
	Status int
	// Response is how the answer begins.
	Response string
	// Error tells why there was no answer. It names no URL.
	Error string
}

// OK: the receiver has taken the message.
func (r Result) OK() bool { return r.Status/100 == 2 }

// Gone: the receiver wants no more messages.
func (r Result) Gone() bool { return r.Status == http.StatusGone }

// Send makes one attempt: it posts a JSON body, signed with each of the secrets.
func (s *Sender) Send(ctx context.Context, to, id string, body []byte, secrets ...Secret) Result {
	began := time.Now()
	r := Result{At: began}
	status, response, err := s.post(ctx, began, to, id, body, secrets)
	r.Took, r.Status, r.Response = time.Since(began), status, response
	if err != nil {
		r.Error = reason(err)
	}
	return r
}

func (s *Sender) post(ctx context.Context, at time.Time, to, id string, body []byte, secrets []Secret) (int, string, error) {
	if len(body) > MostBody {
		return 0, "", license.Errorf(license.CodeTooLarge, "tell ids only", "the message takes %d bytes", len(body))
	}
	if err := s.Check(to); err != nil {
		return 0, "", err
	}
	ctx, cancel := context.WithTimeout(ctx, Timeout)
	defer cancel()
	q, err := http.NewRequestWithContext(ctx, http.MethodPost, to, bytes.NewReader(body))
	if err != nil {
		return 0, "", err
	}
	q.Header.Set("Content-Type", "application/json")
	q.Header.Set("User-Agent", "Quorate-Webhooks/1")
	Sign(q.Header, id, at, body, secrets...)
	client := s.secure
	if q.URL.Scheme == "http" {
		client = s.plain
	}
	a, err := client.Do(q)
	if err != nil {
		return 0, "", err
	}
	defer a.Body.Close()
	if a.StatusCode == http.StatusSwitchingProtocols { // what follows is no answer, and no deadline would end it
		return a.StatusCode, "", nil
	}
	first, err := io.ReadAll(io.LimitReader(a.Body, MostResponse))
	text := strings.ToValidUTF8(strings.ReplaceAll(string(first), "\x00", ""), "\uFFFD")
	if len(text) > MostResponse {
		text = strings.ToValidUTF8(text[:MostResponse], "")
	}
	if err != nil && a.StatusCode/100 == 2 {
		err = nil // it has taken the message
	}
	return a.StatusCode, text, err
}

// reason tells people what went wrong without the URL, in which a receiver may
// have a secret.
func reason(err error) string {
	if e, ok := errors.AsType[*license.Error](err); ok {
		return e.Error()
	}
	if errors.Is(err, context.DeadlineExceeded) {
		return "no answer within 15 seconds"
	}
	if e, ok := errors.AsType[*url.Error](err); ok {
		err = e.Err
	}
	if e, ok := errors.AsType[*net.DNSError](err); ok {
		if e.IsNotFound {
			return "the host's name is not known"
		}
		return "the host's name can't be resolved"
	}
	if e, ok := errors.AsType[*tls.CertificateVerificationError](err); ok {
		err = e.Err
		return license.Clip("the certificate is not trusted: "+err.Error(), 300)
	}
	if e, ok := errors.AsType[*net.OpError](err); ok { // without its addresses
		return license.Clip(e.Op+": "+e.Err.Error(), 300)
	}
	return license.Clip(err.Error(), 300)
}
