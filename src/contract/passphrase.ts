/** What a passphrase may be long, without the line ends behind it. */
export const PASSPHRASE_BYTES = { minimum: 8, maximum: 1024 } as const;

/** As a file holds it, with line ends behind it. */
export const MAXIMUM_PASSPHRASE_FILE_BYTES = PASSPHRASE_BYTES.maximum + 16;
