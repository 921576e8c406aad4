package options

import (
	"fmt"

	"connectrpc.com/connect"

	"github.com/quorate/quorate/internal/rpc/quoratev1"
	"github.com/quorate/quorate/internal/rpc/quoratev1/quoratev1connect"
	"github.com/quorate/quorate/internal/seal"
)

// program has a handle.
type program struct {
	*quoratev1.Handle
	lab *lab
	api quoratev1connect.LicenseServiceClient
	why *quoratev1.ExplainResponse
}

func (p *program) release() {
	p.lab.t.Helper()
	_, err := p.api.Release(p.lab.t.Context(), connect.NewRequest(&quoratev1.ReleaseRequest{Token: p.GetToken()}))
	ok(p.lab.t, err)
}

func (p *program) renew() error {
	answer, err := p.api.Renew(p.lab.t.Context(), connect.NewRequest(&quoratev1.RenewRequest{Token: p.GetToken()}))
	if err == nil {
		p.Handle = answer.Msg.GetHandle()
	}
	return err
}

func (p *program) openKey() error {
	p.lab.t.Helper()
	wrapped, err := seal.WrapKey(p.lab.public, chart, []byte("0123456789abcdef"))
	ok(p.lab.t, err)
	_, err = p.api.OpenKey(p.lab.t.Context(), connect.NewRequest(&quoratev1.OpenKeyRequest{Token: p.GetToken(), WrappedKey: wrapped}))
	return err
}

func (p *program) consume(n uint64) (uint64, error) {
	p.lab.requests++
	return p.consumeAs(fmt.Sprintf("request-%06d", p.lab.requests), n)
}

func (p *program) consumeAs(id string, n uint64) (uint64, error) {
	answer, err := p.api.ConsumeUnits(p.lab.t.Context(), connect.NewRequest(&quoratev1.ConsumeUnitsRequest{
		Token: p.GetToken(), RequestId: id, Units: n,
	}))
	if err != nil {
		return 0, err
	}
	return answer.Msg.GetUnitsLeft(), nil
}

func (p *program) data() ([]byte, error) {
	answer, err := p.api.ReadData(p.lab.t.Context(), connect.NewRequest(&quoratev1.ReadDataRequest{Token: p.GetToken()}))
	if err != nil {
		return nil, err
	}
	return answer.Msg.GetData(), nil
}

func (p *program) derive(use string) ([]byte, error) {
	answer, err := p.api.UseSecret(p.lab.t.Context(), connect.NewRequest(&quoratev1.UseSecretRequest{Token: p.GetToken(), Context: []byte(use)}))
	if err != nil {
		return nil, err
	}
	return answer.Msg.GetKey(), nil
}
