package platform_test

import (
	"context"
	"maps"
	"reflect"
	"slices"
	"testing"

	"github.com/quorate/quorate/internal/license"
)

// TestUncheckedUseCases: who isn't known is refused by every use case, before
// anything else, but by these: only the command line and the workers call them.
// Those that find out who asks refuse him by what he gave.
func TestUncheckedUseCases(t *testing.T) {
	unchecked := map[string]string{
		"Bootstrap":          "makes the first account",
		"PruneUsage":         "a job",
		"PruneKeys":          "a job",
		"AdvanceRollout":     "a job",
		"UnfinishedRollouts": "a job",
		"RootKey":            "gives what is public",
		"DeliverWebhooks":    "a job",
		"WakeWebhooks":       "a job",
		"PruneWebhooks":      "a job",
		"AdvancePlan":        "a job",
		"AdvancePlans":       "a job",
		"LostServers":        "a job",
		"Enroll":             "finds the server by the code alone",
		"WebhookFigures":     "for the operator: counts of all, without names",
		"Figures":            "for the operator: counts of all, without names",
	}
	l := newLab(t, databases.SQLite(t))
	all, checked := reflect.ValueOf(l.Platform), 0
	for i := range all.NumMethod() {
		name, method := all.Type().Method(i).Name, all.Method(i)
		in := method.Type()
		if in.NumIn() == 0 || in.In(0) != reflect.TypeFor[context.Context]() {
			continue
		}
		if _, ok := unchecked[name]; ok {
			delete(unchecked, name)
			continue
		}
		args := []reflect.Value{reflect.ValueOf(t.Context())}
		for k := 1; k < in.NumIn(); k++ {
			args = append(args, reflect.Zero(in.In(k)))
		}
		func() {
			defer func() {
				if p := recover(); p != nil {
					t.Errorf("%s: panic: %v", name, p)
				}
			}()
			out := method.Call(args)
			err, _ := out[len(out)-1].Interface().(error)
			if license.CodeOf(err) != license.CodeUnauthenticated {
				t.Errorf("%s checks nobody: %v", name, err)
			}
		}()
		checked++
	}
	if checked < 50 {
		t.Errorf("only %d use cases were looked at", checked)
	}
	if len(unchecked) > 0 {
		t.Errorf("not there: %v", slices.Sorted(maps.Keys(unchecked)))
	}
}
