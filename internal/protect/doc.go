// Package protect keeps files that open only with a license. A protected file
// is an age file (age-encryption.org/v1), so every age tool reads and writes
// them, with a kind of recipient of our own: a product.
//
// # The stanza
//
// An age file is encrypted with a random file key of 16 bytes, and its header
// has one stanza per recipient that carries this key. Ours is
//
//	-> quorate FIRM:PRODUCT
//	BASE64(seal.WrapKey(product's public key, FIRM:PRODUCT, file key))
//
// Whoever has the product's public key makes one. It opens where the product's
// private key is, which is in containers that hold a license for the product
// and never leaves them: an Identity therefore has no secret, but a callback that asks
// a license server, with the handle of a license in use. The product stands in
// the stanza in clear so that the right license can be taken; it is bound into
// the wrapped key as well, and header and body are authenticated by the file
// key, so nothing can be lifted from one file into another.
//
// The wrapping is post-quantum (MLKEM768X25519), so such a file can't have a
// classic recipient beside ours, which would undo it: age refuses the mixture.
//
// # What a reader can rely on
//
// The body is encrypted in chunks of 64 KiB, each authenticated with its place.
// What Read gives is authentic, and a prefix of what was encrypted; that it is
// all of it is known at io.EOF. Memory is constant on both sides: the header is
// bounded by age to 2 MiB and 1024 stanzas, the lines of an armored file here.
//
// # Text forms
//
// As age plugins have them, in Bech32, numbers big endian:
//
//	age1quorate1…            u8 1, u32 firm, u32 product, public key (1216 bytes)
//	AGE-PLUGIN-QUORATE-1…    u8 1, u32 firm, u32 product, u8 count, count × (u16 length, server's address)
//
// Neither is a secret. An identity without any bytes stands for every product.
package protect
