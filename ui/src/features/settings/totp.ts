/** Keys of authenticator programs. Pure but for the random numbers. */

const LETTERS = "ABCDEFGHIJKLMNOPQRSTUVWXYZ234567";
const BYTES = 20; // as long as what HMAC-SHA-1 makes, which RFC 4226 recommends

/** A new secret in base32. */
export function newSecret(random: (bytes: Uint8Array<ArrayBuffer>) => Uint8Array = (bytes) => crypto.getRandomValues(bytes)): string {
  const bits = [...random(new Uint8Array(BYTES))].map((byte) => byte.toString(2).padStart(8, "0")).join("");
  return bits.match(/.{5}/g)?.map((five) => LETTERS[parseInt(five, 2)]).join("") ?? "";
}

/** The address that an authenticator program reads. */
export function otpauth(user: string, issuer: string, secret: string): string {
  const label = `${encodeURIComponent(issuer)}:${encodeURIComponent(user)}`;
  return `otpauth://totp/${label}?${new URLSearchParams({ secret, issuer, period: "30", digits: "6", algorithm: "SHA1" })}`;
}
