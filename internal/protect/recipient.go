package protect

import (
	"crypto/hpke"
	"encoding/binary"
	"slices"

	"filippo.io/age"
	"filippo.io/age/plugin"

	"github.com/quorate/quorate/internal/license"
	"github.com/quorate/quorate/internal/seal"
)

const (
	// PluginName is the name of age's plugin, and of its texts.
	PluginName = "quorate"
	// StanzaType is the type of the stanzas of recipients.
	StanzaType = "quorate"

	version = 1
	// headSize is version, firm and product.
	headSize    = 1 + 4 + 4
	fileKeySize = 16
	// mostRecipient bounds a recipient's text; it has about 2,000 characters.
	mostRecipient = 4 << 10
)

// Recipient is a product that files are protected for. It implements
// age.Recipient. Safe for concurrent use.
type Recipient struct {
	product license.Product
	public  []byte
}

var _ age.RecipientWithLabels = (*Recipient)(nil)

// NewRecipient makes a recipient from a product's public key. Errors:
// license.CodeInvalidInput.
func NewRecipient(p license.Product, public []byte) (*Recipient, error) {
	if _, err := hpke.MLKEM768X25519().NewPublicKey(public); err != nil {
		return nil, license.Errorf(license.CodeInvalidInput, "copy it from the platform again", "that is not the public key of a product")
	}
	return &Recipient{p, slices.Clone(public)}, nil
}

// ParseRecipient reads what String writes. Errors: license.CodeInvalidInput,
// CodeFormatUnknown.
func ParseRecipient(s string) (*Recipient, error) {
	name, data, err := "", []byte(nil), error(nil)
	if len(s) <= mostRecipient {
		name, data, err = plugin.ParseRecipient(s)
	}
	if err != nil || name != PluginName {
		return nil, badRecipient()
	}
	return DecodeRecipient(data)
}

// DecodeRecipient reads the bytes of a recipient's text.
func DecodeRecipient(data []byte) (*Recipient, error) {
	p, public, err := cutHead(data)
	if err != nil {
		return nil, err
	}
	if p == (license.Product{}) || p.Firm == 0 {
		return nil, badRecipient()
	}
	r, err := NewRecipient(p, public)
	if err != nil {
		return nil, badRecipient()
	}
	return r, nil
}

func badRecipient() error {
	return license.Errorf(license.CodeInvalidInput, "copy it whole from: quorate protect recipient", "that is not a recipient of protected files")
}

// cutHead takes version and product off the bytes of a text.
func cutHead(data []byte) (license.Product, []byte, error) {
	if len(data) < headSize {
		return license.Product{}, nil, license.Errorf(license.CodeInvalidInput, "copy it whole", "that is not a recipient or identity of protected files")
	}
	if data[0] != version {
		return license.Product{}, nil, license.Errorf(license.CodeFormatUnknown, "upgrade the software that reads it", "it has version %d, and only version %d is known here", data[0], version)
	}
	return license.Product{
		Firm: license.FirmCode(binary.BigEndian.Uint32(data[1:])),
		Code: license.ProductCode(binary.BigEndian.Uint32(data[5:])),
	}, data[headSize:], nil
}

func appendHead(b []byte, p license.Product) []byte {
	b = append(b, version)
	b = binary.BigEndian.AppendUint32(b, uint32(p.Firm))
	return binary.BigEndian.AppendUint32(b, uint32(p.Code))
}

// String is the recipient's text, age1quorate1…, of about 2,000 characters.
func (r *Recipient) String() string {
	return plugin.EncodeRecipient(PluginName, append(appendHead(nil, r.product), r.public...))
}

// Product is what a license is needed for to open the files.
func (r *Recipient) Product() license.Product { return r.product }

// Wrap implements age.Recipient.
func (r *Recipient) Wrap(fileKey []byte) ([]*age.Stanza, error) {
	wrapped, err := seal.WrapKey(r.public, r.product, fileKey)
	if err != nil {
		return nil, err
	}
	return []*age.Stanza{{Type: StanzaType, Args: []string{r.product.String()}, Body: wrapped}}, nil
}

// WrapWithLabels implements age.RecipientWithLabels: only recipients that hold
// against quantum computers may stand beside this one.
func (r *Recipient) WrapWithLabels(fileKey []byte) ([]*age.Stanza, []string, error) {
	s, err := r.Wrap(fileKey)
	return s, []string{"postquantum"}, err
}

// parseStanza gives the product and the wrapped key of a stanza of StanzaType.
func parseStanza(s *age.Stanza) (license.Product, []byte, error) {
	if len(s.Args) != 1 {
		return license.Product{}, nil, damaged("its header is not well formed")
	}
	p, err := license.ParseProduct(s.Args[0])
	if err != nil {
		return license.Product{}, nil, damaged("its header names no product")
	}
	claimed, err := seal.WrappedFor(s.Body)
	if license.CodeOf(err) == license.CodeFormatUnknown {
		return license.Product{}, nil, err
	}
	if err != nil || claimed != p {
		return license.Product{}, nil, damaged("its header is not well formed")
	}
	return p, s.Body, nil
}
