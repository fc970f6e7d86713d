package ops

import (
	"context"
	"io"
	"net/http"
	"os"
	"sync"
)

// inProcess answers requests without a connection.
type inProcess struct{ handler http.Handler }

// RoundTrip calls the handler on a goroutine that the body of the answer waits
// for: it ends with the answer, or when the body is closed.
func (t inProcess) RoundTrip(r *http.Request) (*http.Response, error) {
	if err := r.Context().Err(); err != nil {
		return nil, err
	}
	in := r.WithContext(context.WithValue(r.Context(), principalKey{}, userName(os.Getuid())))
	if in.Body == nil {
		in.Body = http.NoBody
	}
	reader, writer := io.Pipe()
	a := &answerWriter{pipe: writer, header: http.Header{}, ready: make(chan struct{})}
	body := &answerBody{PipeReader: reader}
	body.handled.Go(func() {
		defer writer.Close()
		defer a.WriteHeader(http.StatusOK)
		t.handler.ServeHTTP(a, in)
	})
	<-a.ready
	return &http.Response{
		StatusCode: a.status, Status: http.StatusText(a.status), Header: a.sent, Body: body, ContentLength: -1,
		Proto: "HTTP/1.1", ProtoMajor: 1, ProtoMinor: 1, Request: r,
	}, nil
}

// answerWriter hands an answer over as it is written.
type answerWriter struct {
	pipe         *io.PipeWriter
	header, sent http.Header
	status       int
	ready        chan struct{} // closed when status and sent are there
	once         sync.Once
}

func (a *answerWriter) Header() http.Header { return a.header }

func (a *answerWriter) WriteHeader(status int) {
	a.once.Do(func() {
		a.status, a.sent = status, a.header.Clone()
		close(a.ready)
	})
}

func (a *answerWriter) Write(p []byte) (int, error) {
	a.WriteHeader(http.StatusOK)
	return a.pipe.Write(p)
}

// answerBody is what an answerWriter writes.
type answerBody struct {
	*io.PipeReader
	handled sync.WaitGroup
}

// Close has the handler's writes fail, and waits for it.
func (b *answerBody) Close() error {
	err := b.PipeReader.Close()
	b.handled.Wait()
	return err
}
