package ops

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"iter"
	"mime"
	"net"
	"net/http"
	"net/url"
	"strings"

	"github.com/resilgen/resilgen/runtime/resilience"
)

// maxAnswer is how much of an answer that is no stream is read.
const maxAnswer = 64 << 20

// Client asks a service for its dead letters, and has it change them. Errors that
// the service returns are a [*Problem]; one that cannot be reached is
// [resilience.ErrUnavailable]. It is safe for concurrent use.
type Client struct {
	http http.Client
	addr string
}

// Dial returns a client of the service that listens at an address, see [Listen].
// Nothing is asked yet.
func Dial(address string) (*Client, error) {
	path, err := socketPath(address)
	if err != nil {
		return nil, err
	}
	dial := func(ctx context.Context, _, _ string) (net.Conn, error) {
		return new(net.Dialer).DialContext(ctx, "unix", path)
	}
	return &Client{addr: "unix:" + path, http: http.Client{
		Transport:     &http.Transport{DialContext: dial, DisableCompression: true},
		CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
	}}, nil
}

// Local returns a client of rt itself, without a socket: what it answers is what
// a service with the same letters would.
func Local(rt *resilience.Runtime) *Client {
	return &Client{addr: "this process", http: http.Client{Transport: inProcess{newAPI(rt)}}}
}

// Close gives connections back.
func (c *Client) Close() { c.http.CloseIdleConnections() }

// do sends a request and returns the answer, whose body the caller closes. body
// is nil or becomes JSON.
func (c *Client) do(ctx context.Context, method, path string, query url.Values, confirm string, body any) (*http.Response, error) {
	u := url.URL{Scheme: "http", Host: "localhost", Path: Prefix + path, RawQuery: query.Encode()}
	var content io.Reader
	if body != nil {
		text, err := json.Marshal(body)
		if err != nil {
			return nil, err
		}
		content = bytes.NewReader(text)
	}
	req, err := http.NewRequestWithContext(ctx, method, u.String(), content)
	if err != nil {
		return nil, err
	}
	if body != nil {
		req.Header.Set("Content-Type", "application/json")
	}
	if confirm != "" {
		req.Header.Set(confirmHeader, confirm)
	}
	resp, err := c.http.Do(req)
	if err != nil {
		return nil, c.unreachable(ctx, err)
	}
	if resp.StatusCode >= 300 {
		defer resp.Body.Close()
		return nil, refusal(resp)
	}
	return resp, nil
}

// checkName refuses what can be no part of a path: no letter, plan or job is
// called so.
func checkName(id string) error {
	if id == "" || len(id) > 200 || strings.ContainsFunc(id, func(r rune) bool {
		return !('a' <= r && r <= 'z' || 'A' <= r && r <= 'Z' || '0' <= r && r <= '9' || r == '-' || r == '_' || r == ':')
	}) {
		return problem(NotFound, "nothing is called %s", brief(id))
	}
	return nil
}

// unreachable says what stands between the client and its service.
func (c *Client) unreachable(ctx context.Context, err error) error {
	if ctx.Err() != nil {
		return ctx.Err()
	}
	var wrapped *url.Error
	if errors.As(err, &wrapped) {
		err = wrapped.Err
	}
	return fmt.Errorf("%s: %w: %w", c.addr, resilience.ErrUnavailable, err)
}

// refusal is the Problem of an answer.
func refusal(resp *http.Response) error {
	kind, _, _ := mime.ParseMediaType(resp.Header.Get("Content-Type"))
	var p Problem
	if kind != "application/problem+json" || json.NewDecoder(io.LimitReader(resp.Body, maxBody)).Decode(&p) != nil || p.Code == "" {
		return problem(Internal, "the service answered %s: is it another one?", resp.Status)
	}
	return &p
}

// ask sends a request and decodes the answer.
func ask[T any](ctx context.Context, c *Client, method, path string, query url.Values, confirm string, body any) (T, error) {
	var v T
	resp, err := c.do(ctx, method, path, query, confirm, body)
	if err != nil {
		return v, err
	}
	defer resp.Body.Close()
	if err := json.NewDecoder(io.LimitReader(resp.Body, maxAnswer)).Decode(&v); err != nil {
		return v, fmt.Errorf("%s: answer: %w", c.addr, err)
	}
	return v, nil
}

// line is a line of a stream: what was asked for, or the problem that ended it.
type line struct {
	Problem *Problem `json:"problem"`
}

// follow sends a request and yields the lines of the answer.
func follow(ctx context.Context, c *Client, path string, query url.Values) iter.Seq2[json.RawMessage, error] {
	return func(yield func(json.RawMessage, error) bool) {
		resp, err := c.do(ctx, http.MethodGet, path, query, "", nil)
		if err != nil {
			yield(nil, err)
			return
		}
		defer resp.Body.Close()
		for dec := json.NewDecoder(resp.Body); ; {
			var text json.RawMessage
			err := dec.Decode(&text)
			if errors.Is(err, io.EOF) {
				return
			}
			var end line
			if err == nil && json.Unmarshal(text, &end) == nil && end.Problem != nil {
				err = end.Problem
			}
			if !yield(text, err) || err != nil {
				return
			}
		}
	}
}

// Index returns what the service serves.
func (c *Client) Index(ctx context.Context) (Index, error) {
	return ask[Index](ctx, c, http.MethodGet, "", nil, "", nil)
}
