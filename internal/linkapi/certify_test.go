package linkapi_test

import (
	"bytes"
	"context"
	"reflect"
	"testing"
	"time"

	"connectrpc.com/connect"

	"github.com/quorate/quorate/internal/license"
	"github.com/quorate/quorate/internal/platform/clocks"
	"github.com/quorate/quorate/internal/rpc/quoratev1"
)

func (f *fake) CertifyTime(ctx context.Context, questions []clocks.TimeQuestion) ([][]byte, error) {
	f.called(ctx)
	f.questions = questions
	var all [][]byte
	for _, q := range questions {
		all = append(all, []byte("time of "+q.Serial.String()))
	}
	return all, f.err
}

func TestCertify(t *testing.T) {
	f := &fake{}
	api := client(t, f, "Bearer good")
	nonce := bytes.Repeat([]byte{7}, 16)
	res, err := api.Certify(t.Context(), connect.NewRequest(&quoratev1.CertifyRequest{Questions: []*quoratev1.TimeQuestion{
		{Serial: "130-1874829", Nonce: nonce, ClockMs: 1_700_000_000_000, SetBack: true}, {Serial: "130-2", Nonce: nonce},
	}}))
	if err != nil {
		t.Fatal(err)
	}
	if got := res.Msg.GetCertificates(); len(got) != 2 || string(got[1]) != "time of 130-2" {
		t.Errorf("%q", got)
	}
	want := []clocks.TimeQuestion{
		{Serial: license.Serial{Mask: 130, Number: 1874829}, Nonce: [16]byte(nonce), Clock: time.UnixMilli(1_700_000_000_000).UTC(), SetBack: true},
		{Serial: license.Serial{Mask: 130, Number: 2}, Nonce: [16]byte(nonce)},
	}
	if !reflect.DeepEqual(f.questions, want) {
		t.Errorf("%+v", f.questions)
	}
	q := func(serial string, nonce []byte, clock int64) *quoratev1.TimeQuestion {
		return &quoratev1.TimeQuestion{Serial: serial, Nonce: nonce, ClockMs: clock}
	}
	for what, all := range map[string][]*quoratev1.TimeQuestion{
		"four":          {q("130-1", nonce, 0), q("130-2", nonce, 0), q("130-3", nonce, 0), q("130-4", nonce, 0)},
		"no serial":     {q("", nonce, 0)},
		"short nonce":   {q("130-1", nonce[1:], 0)},
		"long nonce":    {q("130-1", append(nonce, 1), 0)},
		"before 1970":   {q("130-1", nonce, -1)},
		"year 10000":    {q("130-1", nonce, 253402300800_000)},
		"nothing in it": {{}},
	} {
		f.questions = nil
		_, err := api.Certify(t.Context(), connect.NewRequest(&quoratev1.CertifyRequest{Questions: all}))
		if license.CodeOf(err) != license.CodeInvalidInput || f.questions != nil {
			t.Errorf("%s: %v", what, err)
		}
	}
	f.err = license.Errorf(license.CodeThrottled, "wait", "too often")
	if _, err = api.Certify(t.Context(), connect.NewRequest(&quoratev1.CertifyRequest{})); license.CodeOf(err) != license.CodeThrottled {
		t.Errorf("too often: %v", err)
	}
	if _, err = client(t, f, "Bearer bad").Certify(t.Context(), connect.NewRequest(&quoratev1.CertifyRequest{})); license.CodeOf(err) != license.CodeUnauthenticated {
		t.Errorf("a bad token: %v", err)
	}
}
