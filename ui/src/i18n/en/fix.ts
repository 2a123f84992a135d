/** What a fix is offered as. */
export const fix = {
  do: "Do it",
  again: "Do it, then: {action}",
  look: "Look",
  copy: "Copy the command",
  copied: "Copied",
  sure: "Yes, do it",
  done: "Done",
} as const;
