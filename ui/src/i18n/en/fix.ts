/** What a fix is offered as. */
export const fix = {
  again: "Do it, then: {action}",
  look: "Look",
  copy: "Copy the command",
  copied: "Copied",
  sure: "Yes, do it",
} as const;
