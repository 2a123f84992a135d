/** What runs first, while the rest of the page is still on its way: who has logged in before gets the event stream. */

import { ahead } from "./store/ahead";

ahead();
