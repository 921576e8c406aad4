// Package seal is the formats that cross a trust boundary: identities, firm
// certificates, fingerprints (.lreq), updates (.lupd), receipts (.lrcp),
// statements, handle tokens and wrapped keys. It signs, seals, verifies and
// opens them; it keeps nothing.
//
// # Framing
//
// Every message is
//
//	tag      u8 length, ASCII letters   what kind it is: the signature's domain
//	version  u8                         1 (2: firm certificates with rotations);
//	                                    it fixes every algorithm
//	body     u32 length, bytes
//	sig      64 bytes                   Ed25519 over all bytes before it
//
// with numbers big endian. Since the tag and the lengths are under the
// signature, a message of one kind never verifies as another, and no byte can
// move from one field to the next. Version 1 is Ed25519 (RFC 8032), HPKE in
// base mode (RFC 9180) with MLKEM768X25519, HKDF-SHA256 and ChaCha20Poly1305,
// and SHA-256.
//
// Encodings are canonical: a message has exactly one, lists are strictly
// ascending, flags are 0 or 1, and nothing may follow the last field. Every
// field and every count has a bound, and a length is checked before anything is
// allocated for it.
//
// # Trust
//
// A firm's key is replaced by another one that the root certifies and that the
// key before signs over to (a rotation); the certificate carries the rotations,
// so that who knows an older key can follow. The root alone can't put a key in
// a known firm's place, nor can a stolen firm key outlive its rotation.
//
// A container knows the platform's root key. The root signs a firm's
// certificate (firm code and key), the firm's key signs an update, and the
// update travels with the certificate. A firm speaks for its own products only.
// A container's own key signs its fingerprints, receipts and statements.
//
// Verification comes first: of an unverified message only the framing and the
// key that it claims to be signed with are read. An update's payload is sealed
// to one container under all header fields, so it can't be lifted into another
// header.
package seal
