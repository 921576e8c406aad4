package tmr_test

import (
	"strings"
	"testing"

	"github.com/quorate/quorate/internal/license"
)

func withData(quantity, id uint32, protected, secret license.DataName) license.Held {
	h := held(quantity, id)
	h.Options.Protected, h.Options.Secret = protected, secret
	return h
}

func TestDataIsReadWhereItIs(t *testing.T) {
	bubble(t, func(t *testing.T, l *lab) {
		text, next, secret := license.DataName{1}, license.DataName{2}, license.DataName{3}
		for _, c := range l.containers {
			c.Set(withData(20, 7, text, secret))
			c.SetData(text, []byte("the text"))
			c.SetData(secret, []byte("the secret"))
		}
		g := l.run()
		for range 6 {
			if got, err := g.ReadData(t.Context(), product, text, l.token()); err != nil || string(got) != "the text" {
				t.Errorf("%q, %v", got, err)
			}
			if got, err := g.UseSecret(t.Context(), product, secret, []byte("c"), l.token()); err != nil || string(got) != ("the secret of c" + strings.Repeat(".", 32))[:32] {
				t.Errorf("%q, %v", got, err)
			}
		}
		for i, c := range l.containers {
			if n := c.Calls("UseSecret"); n != 2 {
				t.Errorf("backend %d used the secret %d times of 6", i+1, n)
			}
		}
		// One runs ahead with other data: the other two are asked for what is in force.
		l.containers[0].Set(withData(30, 8, next, secret))
		l.containers[0].SetData(next, []byte("the next text"))
		l.await(l.status("1:(#8) 2:#7 3:#7"))
		before := l.containers[0].Calls("ProtectedData")
		for range 4 {
			if got, err := g.ReadData(t.Context(), product, text, l.token()); err != nil || string(got) != "the text" {
				t.Errorf("%q, %v", got, err)
			}
		}
		if n := l.containers[0].Calls("ProtectedData"); n != before {
			t.Error("who has it not was asked")
		}
		// One of them fails: the other one is asked.
		l.containers[1].Fault(func(call string, _ bool) error {
			if call == "ProtectedData" {
				return license.Errorf(license.CodeContainerCorrupt, "x", "told to fail")
			}
			return nil
		})
		for range 4 {
			if got, err := g.ReadData(t.Context(), product, text, l.token()); err != nil || string(got) != "the text" {
				t.Errorf("%q, %v", got, err)
			}
		}
		// Then the second one has the next text as well, which is in force.
		l.containers[1].Set(withData(30, 8, next, secret))
		l.containers[1].SetData(next, []byte("the next text"))
		l.await(l.status("1:#8 2:#8 3:(#7)"))
		if got, err := g.ReadData(t.Context(), product, next, l.token()); err != nil || string(got) != "the next text" {
			t.Errorf("%q, %v", got, err)
		}
	})
}

func TestDataRefusals(t *testing.T) {
	bubble(t, func(t *testing.T, l *lab) {
		text, secret := license.DataName{1}, license.DataName{3}
		for _, c := range l.containers {
			c.Set(withData(20, 7, text, secret))
			c.SetData(text, []byte("the text"))
			c.SetData(secret, []byte("the secret"))
		}
		g := l.run()
		read := func(p license.Product, name license.DataName, token []byte) error {
			_, err := g.ReadData(t.Context(), p, name, token)
			return err
		}
		another := license.Product{Firm: 6000010, Code: 15}
		coded(t, "another product", read(another, text, l.token()), license.CodeNoLicense)
		coded(t, "no name", read(product, license.DataName{}, l.token()), license.CodeInvalidInput)
		coded(t, "another name", read(product, license.DataName{9}, l.token()), license.CodeNotFound)
		// Secret data is never read.
		coded(t, "secret data", read(product, secret, l.token()), license.CodeNotFound)
		_, err := g.UseSecret(t.Context(), product, text, []byte("c"), l.token())
		coded(t, "protected data as a secret", err, license.CodeNotFound)
		_, err = g.UseSecret(t.Context(), product, secret, nil, l.token())
		coded(t, "without a context", err, license.CodeInvalidInput)
		if err := read(product, text, []byte("forged")); err == nil {
			t.Error("a forged token reads")
		}
		l.kill(0)
		l.kill(1)
		l.await(func(v license.View) bool { return v.PresentCount() == 1 })
		coded(t, "one is there", read(product, text, l.token()), license.CodeNoMajority)
	})
}
