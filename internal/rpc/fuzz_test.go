package rpc

import (
	"reflect"
	"testing"
	"time"

	"google.golang.org/protobuf/proto"

	"github.com/quorate/quorate/internal/license"
	"github.com/quorate/quorate/internal/rpc/quoratev1"
)

// FuzzMessages gives the readers of messages anything that is one by its form:
// they never panic, refuse with a code, and what they take comes back the same.
func FuzzMessages(f *testing.F) {
	held := license.Held{
		License: license.License{Product: license.Product{Firm: 6000010, Code: 14}, Name: "Chart", Options: license.Options{
			Quantity: 30, TMRID: 8, Expiration: time.Unix(1<<31, 0).UTC(), Units: new(uint64(9)), MinimumVersion: "10.4", Text: "x", Linger: time.Minute,
			AccessList: []license.AccessRule{{Kind: license.AccessUser, Value: "anna"}}, Secret: license.DataName{1},
		}},
		Predecessor: &license.Options{Quantity: 20, TMRID: 7},
	}
	view := license.Merge(license.View{}, [3]license.Observation{{Presence: license.Present, Licenses: []license.Held{held}}})
	view.Version = 3
	for _, m := range []proto.Message{
		OptionsProto(held.Options), HeldsProto([]license.Held{held})[0], ViewProto(view, time.Unix(1, 0)), ProductProto(held.Product),
		MomentProto(license.Moment{At: time.Unix(1, 0), SetBack: true, Certified: time.Unix(1, 0)}, [16]byte{1}),
		MeterProto(license.Meter{Product: held.Product, Issue: 1, Epoch: 2, Units: 3, Recent: []license.Taken{{Request: "r", Units: 3}}}),
		&quoratev1.BackendHealth{Position: 2, Serial: "130-1", Address: "b:1", Presence: "PRESENT", SeenMs: 5},
		&quoratev1.ErrorInfo{Code: "BACKEND_ABSENT", Message: "m", Fix: "f", DetailsJson: `{"a":1}`},
	} {
		b, err := proto.Marshal(m)
		if err != nil {
			f.Fatal(err)
		}
		f.Add(b)
	}
	f.Fuzz(func(t *testing.T, b []byte) {
		// taken says whether the reader took the message.
		taken := func(err error) bool {
			if license.CodeOf(err) == license.CodeInternal {
				t.Fatalf("an error without a code: %v", err)
			}
			return err == nil
		}
		same := func(what string, got, again any, err error) {
			if err != nil || !reflect.DeepEqual(got, again) {
				t.Fatalf("%s: %+v came back as %+v, %v", what, got, again, err)
			}
		}
		if m := new(quoratev1.Options); proto.Unmarshal(b, m) == nil {
			if o, err := OptionsFrom(m); taken(err) {
				again, err := OptionsFrom(OptionsProto(o))
				same("options", o, again, err)
			}
		}
		if m := new(quoratev1.HeldLicense); proto.Unmarshal(b, m) == nil {
			if h, err := HeldsFrom([]*quoratev1.HeldLicense{m}); taken(err) {
				again, err := HeldsFrom(HeldsProto(h))
				same("licenses", h, again, err)
			}
		}
		if m := new(quoratev1.GroupView); proto.Unmarshal(b, m) == nil {
			_, _, err := ViewFrom(m)
			taken(err)
		}
		if m := new(quoratev1.Product); proto.Unmarshal(b, m) == nil {
			_, err := ProductFrom(m)
			taken(err)
		}
		if m := new(quoratev1.Moment); proto.Unmarshal(b, m) == nil {
			if x, nonce, err := MomentFrom(m); taken(err) {
				again, n, err := MomentFrom(MomentProto(x, nonce))
				same("moment", x, again, err)
				same("nonce", nonce, n, nil)
			}
		}
		if m := new(quoratev1.Meter); proto.Unmarshal(b, m) == nil {
			if x, err := MeterFrom(m); taken(err) {
				again, err := MeterFrom(MeterProto(x))
				same("meter", x, again, err)
			}
		}
		if m := new(quoratev1.BackendHealth); proto.Unmarshal(b, m) == nil {
			_, err := HealthFrom(m)
			taken(err)
		}
		if m := new(quoratev1.ErrorInfo); proto.Unmarshal(b, m) == nil {
			if e := license.Public(FromErrorInfo(m)); len(e.Message) > mostErrorText || len(e.Fix) > mostErrorText || len(e.Code) > 64 {
				t.Fatalf("an error of %d bytes", len(e.Message))
			}
		}
		if m := new(quoratev1.LeaseEvent); proto.Unmarshal(b, m) == nil {
			if mode, err := ModeFrom(m.GetMode()); taken(err) && m.GetMode() != 0 && ModeProto(mode) != m.GetMode() {
				t.Fatalf("the mode %v is %q", m.GetMode(), mode)
			}
		}
		_, err := DataNameFrom(b)
		taken(err)
		taken(CheckPin(string(b)))
	})
}
