package e2e

import (
	"encoding/json"
	"fmt"
	"testing"
)

type listed struct {
	Product string
	Total   int
	Free    int
	Usable  bool
	WhyNot  string
	Handles []struct {
		ID, Client, User, Application string
		Process                       int
	}
}

func ls(t testing.TB, server string) ([]listed, error) {
	t.Helper()
	out, errs, status := quorate(t, "ls", "--server", server, "--json")
	if status != 0 {
		return nil, fmt.Errorf("ls: %s", errs)
	}
	var l []listed
	return l, json.Unmarshal([]byte(out), &l)
}

func wantHandles(t testing.TB, server string, n int) error {
	t.Helper()
	l, err := ls(t, server)
	if err != nil {
		return err
	}
	if len(l) != 1 || len(l[0].Handles) != n {
		return fmt.Errorf("%+v, want %d handles", l, n)
	}
	return nil
}
