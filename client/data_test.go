package client_test

import (
	"bytes"
	"context"
	"errors"
	"io"
	"testing"
	"testing/iotest"
	"testing/synctest"
	"time"

	"github.com/quorate/quorate/client"
	"github.com/quorate/quorate/internal/license"
	"github.com/quorate/quorate/internal/licenseserver/servertest"
	"github.com/quorate/quorate/internal/protect"
	"github.com/quorate/quorate/internal/seal"
)

// protected gives the lab the product's private key, and a file for p.
func (l *lab) protected(t testing.TB, p license.Product, content []byte) []byte {
	t.Helper()
	private, public, err := seal.NewProductKey()
	if err != nil {
		t.Fatal(err)
	}
	l.source.Keep(private)
	to, err := protect.NewRecipient(p, public)
	if err != nil {
		t.Fatal(err)
	}
	var out bytes.Buffer
	w, err := protect.Encrypt(&out, false, to)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := w.Write(content); err != nil {
		t.Fatal(err)
	}
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	return out.Bytes()
}

func readData(t testing.TB, h *client.Handle, file []byte) ([]byte, error) {
	t.Helper()
	r, err := h.OpenData(t.Context(), bytes.NewReader(file))
	if err != nil {
		return nil, err
	}
	return io.ReadAll(r)
}

func TestProtectedDataOpensWithAHandle(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		l := newLab(t, 1)
		content := bytes.Repeat([]byte("content "), 40_000)
		file := l.protected(t, servertest.Product(), content)
		l.start(t, "a", 30*time.Second)
		h := access(t, l.open(t, nil, "a"))
		for range 2 {
			got, err := readData(t, h, file)
			if err != nil || !bytes.Equal(got, content) {
				t.Fatalf("%d bytes, %v", len(got), err)
			}
		}
		if n := l.source.Opened(); n != 2 {
			t.Errorf("the server was asked %d times for two files", n)
		}
	})
}

func TestDecrypt(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		l := newLab(t, 1)
		content := bytes.Repeat([]byte("content "), 40_000)
		file := l.protected(t, servertest.Product(), content)
		l.start(t, "a", 30*time.Second)
		h := access(t, l.open(t, nil, "a"))
		if got, err := h.Decrypt(t.Context(), file); err != nil || !bytes.Equal(got, content) {
			t.Errorf("%d bytes, %v", len(got), err)
		}
		got, err := h.Decrypt(t.Context(), file[:len(file)-1])
		wantCode(t, "cut off", err, client.CodeDataDamaged)
		if got != nil {
			t.Errorf("%d bytes of a file that was cut off", len(got))
		}
		_, err = h.Decrypt(t.Context(), []byte("x"))
		wantCode(t, "no protected file", err, client.CodeFormatUnknown)
		if err := h.Release(t.Context()); err != nil {
			t.Fatal(err)
		}
		_, err = h.Decrypt(t.Context(), file)
		wantCode(t, "without a license", err, client.CodeHandleUnknown)
	})
}

func TestProtectedDataThatDoesNotOpen(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		l := newLab(t, 2)
		other := l.protected(t, license.Product{Firm: 6000010, Code: 15}, []byte("content"))
		stale := l.protected(t, servertest.Product(), []byte("content"))
		file := l.protected(t, servertest.Product(), bytes.Repeat([]byte("content "), 40_000))
		changed := bytes.Clone(file)
		changed[len(changed)/2] ^= 1
		l.start(t, "a", 30*time.Second)
		h := access(t, l.open(t, nil, "a"))
		for name, tt := range map[string]struct {
			file []byte
			code client.Code
		}{
			"another product":     {other, client.CodeKeyRefused},
			"another key":         {stale, client.CodeKeyRefused},
			"changed":             {changed, client.CodeDataDamaged},
			"cut off":             {file[:len(file)/2], client.CodeDataDamaged},
			"cut off in its head": {file[:200], client.CodeDataDamaged},
			"nothing":             {nil, client.CodeFormatUnknown},
			"something else":      {[]byte("#!/bin/sh\n"), client.CodeFormatUnknown},
		} {
			_, err := readData(t, h, tt.file)
			wantCode(t, name, err, tt.code)
		}
		alive(t, "after files that don't open", h)
		l.source.Refuse(license.Errorf(license.CodeNoLicense, "order one", "it was returned"))
		_, err := readData(t, h, file)
		wantCode(t, "no license any more", err, client.CodeNoLicense)
		l.source.Refuse(nil)
		if _, err := readData(t, h, file); err != nil {
			t.Errorf("with the license back: %v", err)
		}
	})
}

// The caller's own reader fails with the caller's own error.
func TestProtectedDataOfAReaderThatFails(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		l := newLab(t, 1)
		file := l.protected(t, servertest.Product(), bytes.Repeat([]byte("content "), 40_000))
		l.start(t, "a", 30*time.Second)
		h := access(t, l.open(t, nil, "a"))
		mine := errors.New("mine")
		for _, at := range []int{0, 300, len(file) / 2, len(file)} {
			r, err := h.OpenData(t.Context(), io.MultiReader(bytes.NewReader(file[:at]), iotest.ErrReader(mine)))
			if err == nil {
				_, err = io.ReadAll(r)
			}
			if !errors.Is(err, mine) {
				t.Errorf("after %d bytes: %v", at, err)
			}
		}
	})
}

// Reading ends with the handle, in the middle of a file too.
func TestProtectedDataEndsWithTheHandle(t *testing.T) {
	for name, tt := range map[string]struct {
		end  func(t *testing.T, l *lab, c *client.Client, h *client.Handle)
		code client.Code
	}{
		"removed": {func(t *testing.T, _ *lab, c *client.Client, h *client.Handle) {
			if err := c.Remove(t.Context(), product, h.Info().ID, "ada"); err != nil {
				t.Fatal(err)
			}
			<-h.Done()
		}, client.CodeHandleRemoved},
		"released": {func(t *testing.T, _ *lab, _ *client.Client, h *client.Handle) {
			if err := h.Release(t.Context()); err != nil {
				t.Fatal(err)
			}
		}, client.CodeHandleUnknown},
		"not renewed": {func(_ *testing.T, l *lab, _ *client.Client, h *client.Handle) {
			l.net.Gone("a")
			<-h.Done()
			l.net.Up("a")
		}, client.CodeHandleExpired},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				l := newLab(t, 1)
				file := l.protected(t, servertest.Product(), bytes.Repeat([]byte("content "), 40_000))
				l.start(t, "a", 30*time.Second)
				c := l.open(t, nil, "a")
				h := access(t, c)
				r, err := h.OpenData(t.Context(), bytes.NewReader(file))
				if err != nil {
					t.Fatal(err)
				}
				if _, err := io.CopyN(io.Discard, r, 100_000); err != nil {
					t.Fatal(err)
				}
				tt.end(t, l, c, h)
				for range 2 {
					n, err := r.Read(make([]byte, 10))
					wantCode(t, "the next read", err, tt.code)
					if n != 0 {
						t.Errorf("%d bytes were read", n)
					}
				}
				_, err = h.OpenData(t.Context(), bytes.NewReader(file))
				wantCode(t, "another file", err, tt.code)
			})
		})
	}
}

// While a TMR server switches, opening waits; ctx bounds it.
func TestProtectedDataWhileServersAreAway(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		l := newLab(t, 1)
		file := l.protected(t, servertest.Product(), []byte("content"))
		a := l.start(t, "a", 6*time.Second)
		l.start(t, "b", 6*time.Second)
		h := access(t, l.open(t, nil, "a", "b"))
		l.net.Down("a")
		a.Stop()
		if got, err := readData(t, h, file); err != nil || string(got) != "content" {
			t.Errorf("during the switch: %q, %v", got, err)
		}
		l.net.Down("b")
		ctx, cancel := context.WithTimeout(t.Context(), time.Second)
		defer cancel()
		_, err := h.OpenData(ctx, bytes.NewReader(file))
		wantCode(t, "no server in time", err, client.CodeUnavailable)
		if !errors.Is(err, context.DeadlineExceeded) {
			t.Errorf("its cause: %v", err)
		}
		l.net.Up("b")
	})
}
