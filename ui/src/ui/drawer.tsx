/** Mantine's drawer as a part of its own, for what is in the page from the first. */

export { Drawer as default } from "@mantine/core";
