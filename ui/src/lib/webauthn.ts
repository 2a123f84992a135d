/** Security keys: what the server asks, as the browser's own calls want it, and their answers as the server reads them. */

export interface KeyRequest {
  publicKey: { challenge: string; allowCredentials?: { type: "public-key"; id: string }[] } & Record<string, unknown>;
}

interface KeyCreation {
  publicKey: {
    challenge: string;
    user: { id: string };
    excludeCredentials?: { type: "public-key"; id: string }[];
  } & Record<string, unknown>;
}

/** Whether this page can use keys at all: browsers ask for a protected page with a name. */
export function canUseKeys(): boolean {
  return typeof PublicKeyCredential !== "undefined" && isSecureContext;
}

/** Have a key prove that it is there. Raises DOMException when it is not, or when the user does not want it. */
export async function useKey(asked: KeyRequest): Promise<string> {
  const { challenge, allowCredentials, ...rest } = asked.publicKey;
  const publicKey = { ...rest, challenge: bytes(challenge), allowCredentials: listed(allowCredentials) };
  const found = (await navigator.credentials.get({ publicKey })) as PublicKeyCredential;
  const response = found.response as AuthenticatorAssertionResponse;
  return JSON.stringify({
    id: found.id, rawId: text(found.rawId), type: found.type,
    response: {
      authenticatorData: text(response.authenticatorData), clientDataJSON: text(response.clientDataJSON),
      signature: text(response.signature),
    },
  });
}

/** Make a credential in a key: the challenge that was answered, and the answer. Raises DOMException. */
export async function makeKey(asked: string): Promise<{ challenge: string; value: string }> {
  const { challenge, user, excludeCredentials, ...rest } = (JSON.parse(asked) as KeyCreation).publicKey;
  const publicKey = {
    ...rest, challenge: bytes(challenge), user: { ...user, id: bytes(user.id) },
    excludeCredentials: listed(excludeCredentials),
  } as unknown as PublicKeyCredentialCreationOptions;
  const made = (await navigator.credentials.create({ publicKey })) as PublicKeyCredential;
  const response = made.response as AuthenticatorAttestationResponse;
  const value = JSON.stringify({
    id: made.id, rawId: text(made.rawId), type: made.type,
    response: { attestationObject: text(response.attestationObject), clientDataJSON: text(response.clientDataJSON) },
  });
  return { challenge, value };
}

function listed(known: { type: "public-key"; id: string }[] = []): PublicKeyCredentialDescriptor[] {
  return known.map((one) => ({ ...one, id: bytes(one.id) }));
}

function bytes(encoded: string): Uint8Array<ArrayBuffer> {
  const plain = atob(encoded.replaceAll("-", "+").replaceAll("_", "/"));
  return Uint8Array.from(plain, (letter) => letter.charCodeAt(0));
}

function text(raw: ArrayBuffer): string {
  const plain = Array.from(new Uint8Array(raw), (byte) => String.fromCharCode(byte)).join("");
  return btoa(plain).replaceAll("+", "-").replaceAll("/", "_").replace(/=+$/, "");
}
