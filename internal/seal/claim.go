package seal

import "github.com/quorate/quorate/internal/license"

// What a message says of itself, for whoever has no key to verify it with: to
// show it to a person, and to refuse early what can't be right. Nothing may be
// installed or counted on this ground.

// ClaimUpdate reads an update's header and the firm certificate in it. The
// signature by the key that the certificate names holds; whether a root vouches
// for that key is not known. Errors: license.CodeUpdateTampered,
// CodeFormatUnknown, CodeTooLarge.
func ClaimUpdate(b []byte) (UpdateHeader, FirmCert, error) {
	body, signed, sig, err := kindUpdate.split(b)
	if err != nil {
		return UpdateHeader{}, FirmCert{}, err
	}
	first := reader{b: body}
	cert := first.bytes(1, MostFirmCert)
	claimed, err := claimedFirmCert(cert)
	if first.bad || err != nil || !verify(claimed.Key, signed, sig) {
		return UpdateHeader{}, FirmCert{}, kindUpdate.damage("its signature does not hold")
	}
	_, h, _, err := decodeUpdate(body)
	if err != nil {
		return UpdateHeader{}, FirmCert{}, err
	}
	if h.Firm != claimed.Firm {
		return UpdateHeader{}, FirmCert{}, license.Errorf(license.CodeUpdateUntrusted, kindFirm.spec().fix,
			"the update is for firm %d, but signed by firm %d", h.Firm, claimed.Firm)
	}
	return h, claimed, nil
}

// ClaimReceipt reads a receipt without verifying it. Errors:
// license.CodeReceiptForged, CodeFormatUnknown, CodeTooLarge.
func ClaimReceipt(b []byte) (Receipt, error) {
	body, _, _, err := kindReceipt.split(b)
	if err != nil {
		return Receipt{}, err
	}
	return decodeReceipt(body)
}
