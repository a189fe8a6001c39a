"""The standards that the vectors rest on, written from their texts.

Nothing here is shared with the Rust crate. Of `cryptography` only ChaCha20-Poly1305 (RFC 8439) and
X25519 (RFC 7748) are used; the rest is short enough to be read: CBOR (RFC 8949), HKDF (RFC 5869),
XChaCha20 (draft-irtf-cfrg-xchacha), Ed25519 by ZIP-215, ML-KEM-768 (FIPS 203), X-Wing
(draft-connolly-cfrg-xwing-kem), HPKE (RFC 9180), ML-DSA-44 (FIPS 204), GF(256). Speed and side channels do not matter here.
"""

import hashlib
import hmac
import struct

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.asymmetric.x25519 import X25519PrivateKey, X25519PublicKey
from cryptography.hazmat.primitives.ciphers.aead import ChaCha20Poly1305
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat


class Refused(Exception):
    """The input breaks a rule."""


# --- CBOR, the five things that the protocol uses -------------------------------------------------


def cbor(value):
    """The one encoding of an int, bytes, str, list, tuple or None."""
    if value is None:
        return b"\xf6"
    if isinstance(value, int):
        return _head(0, value)
    if isinstance(value, bytes):
        return _head(2, len(value)) + value
    if isinstance(value, str):
        encoded = value.encode()
        return _head(3, len(encoded)) + encoded
    return _head(4, len(value)) + b"".join(cbor(item) for item in value)


def _head(major, number):
    if not 0 <= number < 1 << 63:
        raise Refused("number out of range")
    if number < 24:
        return bytes([major << 5 | number])
    for info, size in ((24, 1), (25, 2), (26, 4), (27, 8)):
        if number < 1 << 8 * size:
            return bytes([major << 5 | info]) + number.to_bytes(size, "big")


def read_cbor(data):
    """The value whose encoding `data` is; whatever else `data` may be is refused."""
    value, end = _read(data, 0, 0)
    if end != len(data):
        raise Refused("bytes after the item")
    if cbor(value) != data:
        raise Refused("not the deterministic encoding")
    return value


def read_cbor_prefix(data):
    """The value at the start of `data`, and its length."""
    value, end = _read(data, 0, 0)
    if cbor(value) != data[:end]:
        raise Refused("not the deterministic encoding")
    return value, end


def _read(data, at, depth):
    if at >= len(data):
        raise Refused("ends early")
    major, info = data[at] >> 5, data[at] & 31
    at += 1
    if (major, info) == (7, 22):
        return None, at
    if major not in (0, 2, 3, 4) or info > 27:
        raise Refused("not one of the five things")
    number = info
    if info >= 24:
        size = 1 << info - 24
        if at + size > len(data):
            raise Refused("ends early")
        number, at = int.from_bytes(data[at : at + size], "big"), at + size
    if major == 0:
        return number, at
    if major == 4:
        if depth == 8:
            raise Refused("too deep")
        items = []
        for _ in range(number):
            item, at = _read(data, at, depth + 1)
            items.append(item)
        return items, at
    if at + number > len(data):
        raise Refused("ends early")
    content = data[at : at + number]
    if major == 3:
        try:
            content = content.decode()
        except UnicodeDecodeError:
            raise Refused("not UTF-8") from None
    return content, at + number


# --- Hashes and derivation -----------------------------------------------------------------------


def show(value):
    return value.hex() if isinstance(value, bytes) else repr(value)


def sha256(data):
    return hashlib.sha256(data).digest()


def mac(key, data):
    return hmac.new(key, data, hashlib.sha256).digest()


def expand(key, info, length):
    """HKDF-Expand (RFC 5869 §2.3)."""
    output, block, counter = b"", b"", 1
    while len(output) < length:
        block = mac(key, block + info + bytes([counter]))
        output, counter = output + block, counter + 1
    return output[:length]


# --- XChaCha20-Poly1305 --------------------------------------------------------------------------


def hchacha20(key, nonce):
    state = list(struct.unpack("<4I", b"expand 32-byte k"))
    state += struct.unpack("<8I", key) + struct.unpack("<4I", nonce)

    def quarter(a, b, c, d):
        for add, to, rotate in ((b, a, (d, 16)), (d, c, (b, 12)), (b, a, (d, 8)), (d, c, (b, 7))):
            state[to] = (state[to] + state[add]) & 0xFFFFFFFF
            target, bits = rotate
            mixed = state[target] ^ state[to]
            state[target] = (mixed << bits | mixed >> 32 - bits) & 0xFFFFFFFF

    for _ in range(10):
        for lanes in ((0, 4, 8, 12), (1, 5, 9, 13), (2, 6, 10, 14), (3, 7, 11, 15)):
            quarter(*lanes)
        for lanes in ((0, 5, 10, 15), (1, 6, 11, 12), (2, 7, 8, 13), (3, 4, 9, 14)):
            quarter(*lanes)
    return struct.pack("<8I", *state[:4], *state[12:])


def xchacha_seal(key, nonce, aad, plain):
    subkey = hchacha20(key, nonce[:16])
    return ChaCha20Poly1305(subkey).encrypt(bytes(4) + nonce[16:], plain, aad)


def xchacha_open(key, nonce, aad, sealed):
    if len(nonce) < 24 or len(sealed) < 16:
        raise Refused("sealed")
    subkey = hchacha20(key, nonce[:16])
    try:
        return ChaCha20Poly1305(subkey).decrypt(bytes(4) + nonce[16:], sealed, aad)
    except InvalidTag:
        raise Refused("sealed") from None


# --- Ed25519: signing by RFC 8032, verifying by ZIP-215 ------------------------------------------

P = 2**255 - 19
L = 2**252 + 27742317777372353535851937790883648493
D = -121665 * pow(121666, P - 2, P) % P
SQRT_M1 = pow(2, (P - 1) // 4, P)
IDENTITY = (0, 1)


def point_add(p, q):
    (x1, y1), (x2, y2) = p, q
    product = D * x1 * x2 * y1 * y2
    x = (x1 * y2 + x2 * y1) * pow(1 + product, P - 2, P) % P
    y = (y1 * y2 + x1 * x2) * pow(1 - product, P - 2, P) % P
    return x, y


def point_mul(scalar, point):
    result = IDENTITY
    while scalar:
        if scalar & 1:
            result = point_add(result, point)
        point, scalar = point_add(point, point), scalar >> 1
    return result


def decompress(encoded):
    """ZIP-215: any y below 2^255 is taken, reduced or not."""
    number = int.from_bytes(encoded, "little")
    sign, y = number >> 255, (number & (1 << 255) - 1) % P
    square = (y * y - 1) * pow(D * y * y + 1, P - 2, P) % P
    x = pow(square, (P + 3) // 8, P)
    if x * x % P != square:
        x = x * SQRT_M1 % P
    if x * x % P != square:
        raise Refused("not a point")
    return (-x % P if x & 1 != sign else x), y


def compress(point):
    x, y = point
    return (y | (x & 1) << 255).to_bytes(32, "little")


BASE = decompress((4 * pow(5, P - 2, P) % P).to_bytes(32, "little"))


def _secret_scalar(seed):
    digest = hashlib.sha512(seed).digest()
    scalar = int.from_bytes(digest[:32], "little") & (1 << 254) - 8 | 1 << 254
    return scalar, digest[32:]


def _challenge(r, public, message):
    return int.from_bytes(hashlib.sha512(r + public + message).digest(), "little") % L


def ed25519_public(seed):
    return compress(point_mul(_secret_scalar(seed)[0], BASE))


def ed25519_sign(seed, message, add_to_r=IDENTITY):
    """`add_to_r` makes the crafted signatures of the vectors; honest ones leave it alone."""
    scalar, prefix = _secret_scalar(seed)
    nonce = int.from_bytes(hashlib.sha512(prefix + message).digest(), "little") % L
    r = compress(point_add(point_mul(nonce, BASE), add_to_r))
    s = (nonce + _challenge(r, ed25519_public(seed), message) * scalar) % L
    return r + s.to_bytes(32, "little")


def ed25519_verify(public, message, signature):
    """[8][s]B = [8]R + [8][k]A (ZIP-215)."""
    s = int.from_bytes(signature[32:], "little")
    if s >= L:
        return False
    try:
        a, r = decompress(public), decompress(signature[:32])
    except Refused:
        return False
    right = point_add(r, point_mul(_challenge(signature[:32], public, message), a))
    return point_mul(8, point_mul(s, BASE)) == point_mul(8, right)


# --- ML-KEM-768 (FIPS 203) -----------------------------------------------------------------------

Q, N, K, ETA, DU, DV = 3329, 256, 3, 2, 10, 4
ZETAS = [pow(17, int(f"{i:07b}"[::-1], 2), Q) for i in range(128)]
GAMMAS = [pow(17, 2 * int(f"{i:07b}"[::-1], 2) + 1, Q) for i in range(128)]


def _bits(data):
    return [byte >> i & 1 for byte in data for i in range(8)]


def _pack(values, width):
    number = sum(value << width * i for i, value in enumerate(values))
    return number.to_bytes(len(values) * width // 8, "little")


def _unpack(data, width):
    number = int.from_bytes(data, "little")
    return [number >> width * i & (1 << width) - 1 for i in range(len(data) * 8 // width)]


def _compress(values, width):
    return [((value << width + 1) + Q) // (2 * Q) % (1 << width) for value in values]


def _decompress(values, width):
    return [(value * Q + (1 << width - 1)) >> width for value in values]


def _ntt(f):
    f, i, length = list(f), 1, 128
    while length >= 2:
        for start in range(0, N, 2 * length):
            for j in range(start, start + length):
                t = ZETAS[i] * f[j + length] % Q
                f[j + length], f[j] = (f[j] - t) % Q, (f[j] + t) % Q
            i += 1
        length //= 2
    return f


def _inverse_ntt(f):
    f, i, length = list(f), 127, 2
    while length <= 128:
        for start in range(0, N, 2 * length):
            for j in range(start, start + length):
                t = f[j]
                f[j] = (t + f[j + length]) % Q
                f[j + length] = ZETAS[i] * (f[j + length] - t) % Q
            i -= 1
        length *= 2
    return [value * 3303 % Q for value in f]


def _multiply(f, g):
    h = []
    for i in range(128):
        a0, a1, b0, b1 = f[2 * i], f[2 * i + 1], g[2 * i], g[2 * i + 1]
        h += [(a0 * b0 + a1 * b1 * GAMMAS[i]) % Q, (a0 * b1 + a1 * b0) % Q]
    return h


def _add(*polynomials):
    return [sum(values) % Q for values in zip(*polynomials)]


def _dot(left, right):
    return _add(*(_multiply(f, g) for f, g in zip(left, right)))


def _sample_ntt(seed):
    stream, values, at = hashlib.shake_128(seed).digest(3 * 1024), [], 0
    while len(values) < N:
        a, b, c = stream[at : at + 3]
        at += 3
        for candidate in (a | (b & 15) << 8, b >> 4 | c << 4):
            if candidate < Q and len(values) < N:
                values.append(candidate)
    return values


def _sample_cbd(seed, counter):
    bits = _bits(hashlib.shake_256(seed + bytes([counter])).digest(64 * ETA))
    return [
        (sum(bits[4 * i : 4 * i + 2]) - sum(bits[4 * i + 2 : 4 * i + 4])) % Q for i in range(N)
    ]


def _matrix(rho):
    return [[_sample_ntt(rho + bytes([j, i])) for j in range(K)] for i in range(K)]


def ml_kem_keys(d, z):
    """The public key, and what decapsulation needs."""
    digest = hashlib.sha3_512(d + bytes([K])).digest()
    rho, sigma = digest[:32], digest[32:]
    matrix = _matrix(rho)
    s = [_ntt(_sample_cbd(sigma, i)) for i in range(K)]
    e = [_ntt(_sample_cbd(sigma, K + i)) for i in range(K)]
    t = [_add(_dot(matrix[i], s), e[i]) for i in range(K)]
    public = b"".join(_pack(polynomial, 12) for polynomial in t) + rho
    return public, (s, public, z)


def _encrypt(public, message, randomness):
    t = [_unpack(public[384 * i : 384 * i + 384], 12) for i in range(K)]
    matrix = _matrix(public[384 * K :])
    y = [_ntt(_sample_cbd(randomness, i)) for i in range(K)]
    e1 = [_sample_cbd(randomness, K + i) for i in range(K)]
    e2 = _sample_cbd(randomness, 2 * K)
    u = [
        _add(_inverse_ntt(_dot([matrix[j][i] for j in range(K)], y)), e1[i]) for i in range(K)
    ]
    v = _add(_inverse_ntt(_dot(t, y)), e2, _decompress(_bits(message), 1))
    packed = b"".join(_pack(_compress(polynomial, DU), DU) for polynomial in u)
    return packed + _pack(_compress(v, DV), DV)


def ml_kem_encapsulate(public, message):
    """The ciphertext and the shared secret."""
    digest = hashlib.sha3_512(message + hashlib.sha3_256(public).digest()).digest()
    return _encrypt(public, message, digest[32:]), digest[:32]


def ml_kem_decapsulate(key, ciphertext):
    s, public, z = key
    u = [
        _ntt(_decompress(_unpack(ciphertext[32 * DU * i : 32 * DU * (i + 1)], DU), DU))
        for i in range(K)
    ]
    v = _decompress(_unpack(ciphertext[32 * DU * K :], DV), DV)
    w = [(a - b) % Q for a, b in zip(v, _inverse_ntt(_dot(s, u)))]
    again, shared = ml_kem_encapsulate(public, _pack(_compress(w, 1), 1))
    return shared if again == ciphertext else hashlib.shake_256(z + ciphertext).digest(32)


# --- X-Wing --------------------------------------------------------------------------------------


def _x25519_public(secret):
    key = X25519PrivateKey.from_private_bytes(secret).public_key()
    return key.public_bytes(Encoding.Raw, PublicFormat.Raw)


def _x25519(secret, public):
    return X25519PrivateKey.from_private_bytes(secret).exchange(
        X25519PublicKey.from_public_bytes(public)
    )


def _combine(ss_m, ss_x, ct_x, pk_x):
    return hashlib.sha3_256(ss_m + ss_x + ct_x + pk_x + rb"\.//^" + b"\\").digest()


def xwing_keys(seed):
    expanded = hashlib.shake_256(seed).digest(96)
    public_m, key_m = ml_kem_keys(expanded[:32], expanded[32:64])
    return public_m + _x25519_public(expanded[64:]), (key_m, expanded[64:])


def xwing_encapsulate(public, randomness):
    ct_m, ss_m = ml_kem_encapsulate(public[:1184], randomness[:32])
    pk_x, secret_x = public[1184:], randomness[32:]
    ct_x = _x25519_public(secret_x)
    return ct_m + ct_x, _combine(ss_m, _x25519(secret_x, pk_x), ct_x, pk_x)


def xwing_decapsulate(key, ciphertext):
    key_m, secret_x = key
    ct_m, ct_x = ciphertext[:1088], ciphertext[1088:]
    ss_m = ml_kem_decapsulate(key_m, ct_m)
    return _combine(ss_m, _x25519(secret_x, ct_x), ct_x, _x25519_public(secret_x))


# --- HPKE, base mode, X-Wing, HKDF-SHA256, ChaCha20-Poly1305 --------------------------------------


def hpke_seal(shared, info, aad, plain):
    """RFC 9180 §5.1 and §5.2, the first message of a context."""
    suite = b"HPKE" + struct.pack(">3H", 0x647A, 0x0001, 0x0003)

    def extract(salt, label, ikm):
        return mac(salt or bytes(32), b"HPKE-v1" + suite + label + ikm)

    def expand_labelled(key, label, context, length):
        prefix = struct.pack(">H", length) + b"HPKE-v1" + suite + label
        return expand(key, prefix + context, length)

    context = b"\x00" + extract(b"", b"psk_id_hash", b"") + extract(b"", b"info_hash", info)
    secret = extract(shared, b"secret", b"")
    key = expand_labelled(secret, b"key", context, 32)
    nonce = expand_labelled(secret, b"base_nonce", context, 12)
    return ChaCha20Poly1305(key).encrypt(nonce, plain, aad)


# --- ML-DSA-44, verifying (FIPS 204) ---------------------------------------------------------------

DQ, DK, DL, DD, TAU, GAMMA1, GAMMA2, OMEGA = 8380417, 4, 4, 13, 39, 1 << 17, 95232, 80
BETA = TAU * 2
DZETAS = [pow(1753, int(f"{i:08b}"[::-1], 2), DQ) for i in range(256)]


def _d_ntt(f):
    f, m, length = list(f), 0, 128
    while length >= 1:
        for start in range(0, N, 2 * length):
            m += 1
            for j in range(start, start + length):
                t = DZETAS[m] * f[j + length] % DQ
                f[j + length], f[j] = (f[j] - t) % DQ, (f[j] + t) % DQ
        length //= 2
    return f


def _d_inverse_ntt(f):
    f, m, length = list(f), 256, 1
    while length < 256:
        for start in range(0, N, 2 * length):
            m -= 1
            for j in range(start, start + length):
                t = f[j]
                f[j] = (t + f[j + length]) % DQ
                f[j + length] = -DZETAS[m] * (t - f[j + length]) % DQ
        length *= 2
    return [value * 8347681 % DQ for value in f]


def _d_uniform(seed):
    stream, values, at = hashlib.shake_128(seed).digest(4 * 1024), [], 0
    while len(values) < N:
        candidate = int.from_bytes(stream[at : at + 3], "little") & 0x7FFFFF
        at += 3
        if candidate < DQ:
            values.append(candidate)
    return values


def _sample_in_ball(seed):
    stream = hashlib.shake_256(seed).digest(1024)
    signs, at, c = int.from_bytes(stream[:8], "little"), 8, [0] * N
    for i in range(N - TAU, N):
        while stream[at] > i:
            at += 1
        j, at = stream[at], at + 1
        c[i], c[j] = c[j], -1 if signs & 1 else 1
        signs >>= 1
    return c


def _use_hint(hint, r):
    high, low = divmod(r, 2 * GAMMA2)
    if low > GAMMA2:
        high, low = high + 1, low - 2 * GAMMA2
    if r - low == DQ - 1:
        high, low = 0, low - 1
    count = (DQ - 1) // (2 * GAMMA2)
    return (high + hint * (1 if low > 0 else -1)) % count


def _read_hints(packed):
    hints, at = [[0] * N for _ in range(DK)], 0
    for i, end in enumerate(packed[OMEGA:]):
        if not at <= end <= OMEGA or list(packed[at:end]) != sorted(set(packed[at:end])):
            return None
        for position in packed[at:end]:
            hints[i][position] = 1
        at = end
    return None if any(packed[at:OMEGA]) else hints


def ml_dsa_verify(public, message, signature):
    """FIPS 204, algorithm 3, with an empty context."""
    if len(public) != 1312 or len(signature) != 2420:
        return False
    rho, t1 = public[:32], [_unpack(public[32 + 320 * i : 352 + 320 * i], 10) for i in range(DK)]
    challenge, packed = signature[:32], signature[32 : 32 + 576 * DL]
    z = [
        [GAMMA1 - value for value in _unpack(packed[576 * i : 576 * i + 576], 18)]
        for i in range(DL)
    ]
    hints = _read_hints(signature[32 + 576 * DL :])
    if hints is None or max(abs(value) for row in z for value in row) >= GAMMA1 - BETA:
        return False
    mu = hashlib.shake_256(
        hashlib.shake_256(public).digest(64) + b"\x00\x00" + message
    ).digest(64)
    c = _d_ntt(_sample_in_ball(challenge))
    z = [_d_ntt(row) for row in z]
    packed = b""
    for i in range(DK):
        row = [_d_uniform(rho + bytes([j, i])) for j in range(DL)]
        scaled = _d_ntt([value << DD for value in t1[i]])
        w = [
            (sum(a[n] * v[n] for a, v in zip(row, z)) - c[n] * scaled[n]) % DQ for n in range(N)
        ]
        w = _d_inverse_ntt(w)
        packed += _pack([_use_hint(hint, value) for hint, value in zip(hints[i], w)], 6)
    return hashlib.shake_256(mu + packed).digest(32) == challenge


# --- GF(256), the field of AES -------------------------------------------------------------------


def gf_mul(a, b):
    result = 0
    while b:
        if b & 1:
            result ^= a
        a = a << 1 ^ (0x11B if a & 0x80 else 0)
        b >>= 1
    return result


def gf_inverse(a):
    return next(b for b in range(1, 256) if gf_mul(a, b) == 1)


def combine_shares(shares):
    """Lagrange interpolation at 0, byte by byte; a share is its number and its bytes."""
    secret = bytearray(len(shares[0]) - 1)
    for share in shares:
        factor = 1
        for other in shares:
            if other is not share:
                factor = gf_mul(factor, gf_mul(other[0], gf_inverse(other[0] ^ share[0])))
        for i, byte in enumerate(share[1:]):
            secret[i] ^= gf_mul(byte, factor)
    return bytes(secret)
