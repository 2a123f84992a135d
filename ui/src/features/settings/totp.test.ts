import { expect, test } from "vitest";

import { newSecret, otpauth } from "./totp";

test("a secret is 20 bytes in base32", () => {
  expect(newSecret((bytes) => bytes.fill(0xff))).toBe("7".repeat(32));
  const ascii = new TextEncoder().encode("12345678901234567890"); // RFC 6238's own secret
  expect(newSecret(() => ascii)).toBe("GEZDGNBVGY3TQOJQGEZDGNBVGY3TQOJQ");
  expect(newSecret()).toMatch(/^[A-Z2-7]{32}$/);
});

test("the address has its parts encoded", () => {
  expect(otpauth("ann@pve", "my node", "AB")).toBe("otpauth://totp/my%20node:ann%40pve?secret=AB&issuer=my+node&period=30&digits=6&algorithm=SHA1");
});
