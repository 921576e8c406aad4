package client

import (
	"bytes"
	"context"
	"errors"
	"io"

	"github.com/quorate/quorate/internal/license"
	"github.com/quorate/quorate/internal/protect"
)

// OpenData opens a file that was protected for the handle's product, by quorate
// protect or by age, binary or armored. ctx bounds the call to the license
// server, as in OpenKey; protected is read as the content is.
//
// What the reader gives is authentic, and that it is all of it is known at
// io.EOF. From the moment the handle is dead every Read fails with its Err. An
// error of protected itself is passed on as it is; all others are an *Error:
// CodeFormatUnknown, CodeDataDamaged, CodeKeyRefused when the file is for
// another product, and those of OpenKey.
//
// It needs as much memory for a large file as for a small one, and one goroutine
// at a time may read.
func (h *Handle) OpenData(ctx context.Context, protected io.Reader) (io.Reader, error) {
	p, err := license.ParseProduct(h.product)
	if err != nil {
		return nil, failure(err)
	}
	if err := h.Err(); err != nil {
		return nil, err
	}
	body, err := protect.Open(protected, protect.NewIdentity(p, func(_ license.Product, wrapped []byte) ([]byte, error) {
		return h.OpenKey(ctx, wrapped)
	}))
	if err != nil {
		return nil, dataError(err)
	}
	return &data{h, body}, nil
}

// Decrypt opens what was protected for the handle's product, whole: it is OpenData
// for what fits into memory. Nothing is given of what isn't authentic to its end.
func (h *Handle) Decrypt(ctx context.Context, protected []byte) ([]byte, error) {
	r, err := h.OpenData(ctx, bytes.NewReader(protected))
	if err != nil {
		return nil, err
	}
	content, err := io.ReadAll(r)
	if err != nil {
		return nil, err
	}
	return content, nil
}

// data is the content of a protected file, for as long as the handle lives.
type data struct {
	handle *Handle
	body   io.Reader
}

func (d *data) Read(p []byte) (int, error) {
	if err := d.handle.Err(); err != nil {
		return 0, err
	}
	n, err := d.body.Read(p)
	return n, dataError(err)
}

// dataError makes an *Error of what package protect says about a file.
func dataError(err error) error {
	var l *license.Error
	if errors.As(err, &l) {
		return failure(l)
	}
	return err
}
