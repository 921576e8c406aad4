package client_test

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log"
	"os"
	"os/signal"
	"time"

	"github.com/quorate/quorate/client"
)

// A program takes a license while it runs and stops when it loses it.
func Example() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt)
	defer stop()

	c, err := client.Open(ctx, client.Config{
		// Both servers of a TMR pair, or their virtual IP alone.
		Servers: []string{
			"https://licenses-a.example.com:7400?pin=sha256:x6uvZ3MOH4U1mQC4d9k4hQ8x1rj3fR8V0G5o6k9n1Xc",
			"https://licenses-b.example.com:7400?pin=sha256:Qm1dJ1hQv3pXo1Qd3cYy0l2y4kq0f5y8r7Zb3sV2u9A",
		},
		Application: "charts",
	})
	if err != nil {
		log.Print(err)
		return
	}
	defer c.Close()

	h, err := c.Access(ctx, "6000010:14")
	if err != nil {
		log.Print(err) // says what is wrong and what to do
		return
	}
	select {
	case <-ctx.Done():
	case <-h.Done():
		log.Print(h.Err())
	}
}

// What can be done about a refusal depends on its code.
func ExampleClient_Access() {
	c, err := client.Open(context.Background(), client.Config{Servers: []string{"http://127.0.0.1:7443"}})
	if err != nil {
		log.Print(err)
		return
	}
	defer c.Close()

	_, err = c.Access(context.Background(), "6000010:14", client.WithFeatures(0b0010))
	var short *client.Shortage
	switch {
	case err == nil:
		fmt.Println("licensed")
	case errors.Is(err, client.CodeFeatureMissing):
		fmt.Println("running without the extra feature")
	case errors.As(err, &short):
		fmt.Println(short.Taken, "of", short.Quantity, "licenses are in use; the next may be free in", short.NextFree)
		for _, h := range short.Holders {
			fmt.Println(h.User, "on", h.Host, "has one, idle for", h.Idle)
		}
	default:
		fmt.Println(err)
	}
}

// A batch job waits for as many licenses as it has cores, up to an hour.
func ExampleWithWait() {
	start := func(ctx context.Context, c *client.Client) (*client.Handle, error) {
		return c.Access(ctx, "6000010:14", client.WithLicenses(8),
			client.WithWait(time.Hour, func(p client.Place) {
				fmt.Printf("waiting at place %d of %d\n", p.Position, p.Waiting)
			}))
	}
	_ = start
}

// A laptop takes a license on a journey: each start of the program within the time
// goes on with it, and what is not needed any more is returned.
func ExampleWithBorrow() {
	start := func(ctx context.Context, c *client.Client) (*client.Handle, error) {
		return c.Access(ctx, "6000010:14", client.WithBorrow(72*time.Hour))
	}
	home := func(ctx context.Context, c *client.Client) error {
		all, err := c.Borrowed()
		if err != nil {
			return err
		}
		for _, b := range all {
			if err := c.Return(ctx, b.ID); err != nil {
				return err
			}
		}
		return nil
	}
	_, _ = start, home
}

// All windows of one user share a license, wherever the servers are.
func ExampleWithMode() {
	c, err := client.Open(context.Background(), client.Config{
		// DNS names them: _quorate._tcp.example.com.
		Servers: []string{"srv://example.com"},
	})
	if err != nil {
		log.Print(err)
		return
	}
	defer c.Close()

	h, err := c.Access(context.Background(), "6000010:14", client.WithMode(client.StationShare))
	if err != nil {
		log.Print(err)
		return
	}
	defer h.Release(context.Background())
}

// A program with windows tells when it is used, and shows who asks for its
// license.
func ExampleHandle_Notices() {
	attend := func(h *client.Handle, clicks <-chan struct{}, show func(string)) error {
		notices := h.Notices()
		for {
			select {
			case <-clicks:
				h.Touch()
			case n, ok := <-notices:
				if !ok {
					notices = nil // the handle is dead
					continue
				}
				show(n.By + " asks for the license: " + n.Text)
			case <-h.Done():
				return h.Err()
			}
		}
	}
	_ = attend
}

// Data that was protected for a product opens only with a license in use.
func ExampleHandle_OpenKey() {
	decrypt := func(h *client.Handle, wrappedKey []byte) error {
		key, err := h.OpenKey(context.Background(), wrappedKey)
		if err != nil {
			return err
		}
		fmt.Println(len(key), "bytes of key")
		return nil
	}
	_ = decrypt
}

// A model that was protected for the product is read like any file, for as long
// as the license lasts.
func ExampleHandle_OpenData() {
	load := func(ctx context.Context, h *client.Handle, path string) error {
		f, err := os.Open(path)
		if err != nil {
			return err
		}
		defer f.Close()
		model, err := h.OpenData(ctx, f)
		if err != nil {
			return err
		}
		n, err := io.Copy(io.Discard, model)
		fmt.Println(n, "bytes of model")
		return err
	}
	_ = load
}

// An administrator looks for a stuck program and frees its license.
func ExampleClient_Remove() {
	ctx := context.Background()
	c, err := client.Open(ctx, client.Config{
		Servers:    []string{"http://127.0.0.1:7443"},
		AdminToken: os.Getenv("QUORATE_ADMIN_TOKEN"),
	})
	if err != nil {
		log.Print(err)
		return
	}
	defer c.Close()

	handles, err := c.Handles(ctx)
	if err != nil {
		log.Print(err)
		return
	}
	for _, h := range handles {
		if h.User == "ada" && h.Station == "office-pc" {
			if err := c.Remove(ctx, h.Product, h.ID, "reception"); err != nil {
				log.Print(err)
			}
		}
	}
}

// A program that is paid by pieces takes a unit for each.
func ExampleHandle_Consume() {
	convert := func(ctx context.Context, h *client.Handle, pages uint64) error {
		left, err := h.Consume(ctx, pages)
		if errors.Is(err, client.CodeNoUnits) {
			return fmt.Errorf("not enough pages left: %w", err)
		}
		if err != nil {
			return err
		}
		fmt.Println(left, "pages left")
		return nil
	}
	_ = convert
}

// What the vendor has put into a license for the program: a text for people,
// protected data, and secret data that keys are derived from.
func ExampleHandle_License() {
	show := func(ctx context.Context, h *client.Handle) error {
		l := h.License()
		fmt.Println(l.Text)
		if !l.Until.IsZero() {
			fmt.Println("until", l.Until)
		}
		if l.ProtectedData {
			data, err := h.Data(ctx)
			if err != nil {
				return err
			}
			fmt.Println(len(data), "bytes of settings")
		}
		if l.SecretData {
			key, err := h.Derive(ctx, []byte("project files, version 1"))
			if err != nil {
				return err
			}
			fmt.Println(len(key), "bytes of key")
		}
		return nil
	}
	_ = show
}

// A help desk asks why a program gets no license.
func ExampleClient_Why() {
	ctx := context.Background()
	c, err := client.Open(ctx, client.Config{Servers: []string{"http://127.0.0.1:7443"}, User: "ada"})
	if err != nil {
		log.Print(err)
		return
	}
	defer c.Close()

	why, err := c.Why(ctx, "6000010:14", client.WithVersion("10.4"))
	if err != nil {
		log.Print(err)
		return
	}
	for _, r := range why.Reasons {
		fmt.Println(r.Code, r.Message, r.Fix)
	}
}
