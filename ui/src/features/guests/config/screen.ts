/** The settings of a guest: loaded together, because whoever looks at one looks at the others. */

export { CloudInit } from "./cloudinit";
export { Hardware, Options } from "./tab";
