package core_test

import (
	"io"
	"testing"

	"github.com/quorate/quorate/internal/platform/core"
)

func TestBeside(t *testing.T) {
	if v, err := core.Beside(func() (int, error) { return 3, io.EOF })(); v != 3 || err != io.EOF {
		t.Errorf("%d, %v", v, err)
	}
	wait := core.Beside(func() (int, error) { panic("broken") })
	defer func() {
		if p := recover(); p != "broken" {
			t.Errorf("who waits has %v", p)
		}
	}()
	_, _ = wait()
	t.Error("it didn't panic")
}
