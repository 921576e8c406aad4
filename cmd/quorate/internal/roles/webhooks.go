package roles

import (
	"net/url"

	"github.com/quorate/quorate/internal/license"
	"github.com/quorate/quorate/internal/outbound"
	"github.com/quorate/quorate/internal/webhook"
)

// webhookFlags say whom webhooks may call.
type webhookFlags struct {
	WebhookAllow string `help:"Networks that webhooks may call, too, besides the public internet, and by plain HTTP; for example 10.20.0.0/16,fd00::/8." env:"QUORATE_WEBHOOK_ALLOW"`
	WebhookProxy string `help:"A proxy that webhooks go through, for example http://proxy:3128; it decides what they reach." env:"QUORATE_WEBHOOK_PROXY"`
}

func (f webhookFlags) sender() (*webhook.Sender, error) {
	allow, err := outbound.ParseNetworks(f.WebhookAllow)
	if err != nil {
		return nil, err
	}
	c := webhook.Config{Allow: allow}
	if f.WebhookProxy != "" {
		u, err := url.Parse(f.WebhookProxy)
		if err != nil || u.Host == "" || (u.Scheme != "http" && u.Scheme != "https") { // it may have a password
			return nil, license.Errorf(license.CodeInvalidInput, "write it as http://HOST:PORT", "--webhook-proxy can't be read")
		}
		c.Proxy = u
	}
	return webhook.New(c), nil
}
