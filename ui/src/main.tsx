import "./mantine.css";
import "./styles.css";

import { createTheme, MantineProvider } from "@mantine/core";
import { QueryClient, QueryClientProvider } from "@tanstack/react-query";
import { Component, lazy, type ReactNode, StrictMode, Suspense, useEffect, useMemo, useState } from "react";
import { createRoot } from "react-dom/client";

import { onLoggedOut } from "./api/client";
import { keepAlive, logout, resume, type Session } from "./api/session";
import { ConsoleLayer } from "./features/guests/consoles";
import { preferred, speak, t, useLanguage } from "./i18n";
import { FormLayer } from "./shell/forms";
import { Shell } from "./shell/shell";

/** Made anew with each language. */
const themeOf = (): ReturnType<typeof createTheme> => {
  const closable = { defaultProps: { closeButtonProps: { "aria-label": t("common.close") } } };
  return createTheme({
    fontFamily: "system-ui, sans-serif",
    defaultRadius: "sm",
    cursorType: "pointer",
    primaryShade: 8, // white words on it can be read
    components: { Drawer: closable, Modal: closable },
  });
};
const Login = lazy(() => import("./features/login/login").then((login) => ({ default: login.Login })));
const queries = new QueryClient({ defaultOptions: { queries: { retry: false, refetchOnWindowFocus: false } } });

function App(): ReactNode {
  const [session, setSession] = useState<Session | null>(earlier);
  useEffect(() => {
    loggedOut = () => setSession(null);
    onLoggedOut(loggedOut);
  }, []);
  useEffect(() => (session ? keepAlive(session.username) : undefined), [session]);
  if (session === null) {
    return (
      <Suspense fallback={null}>
        <Login onSession={setSession} />
      </Suspense>
    );
  }
  const leave = (): void => {
    logout();
    setSession(null);
  };
  return (
    <ConsoleLayer>
      <FormLayer>
        <Shell session={session} onLogout={leave} />
      </FormLayer>
    </ConsoleLayer>
  );
}

/** A fault in one part must not leave an empty page. */
class Boundary extends Component<{ children: ReactNode }, { fault: unknown }> {
  override state: { fault: unknown } = { fault: null };
  static getDerivedStateFromError(fault: unknown): { fault: unknown } {
    return { fault };
  }
  override render(): ReactNode {
    if (this.state.fault === null) return this.props.children;
    return (
      <main className="login">
        <h1>{t("shell.brokeTitle")}</h1>
        <pre>{String(this.state.fault)}</pre>
        <button type="button" onClick={() => location.reload()}>
          {t("shell.brokeAgain")}
        </button>
      </main>
    );
  }
}

/** Everything below is drawn again when the language changes; nothing is lost by it. */
function Root(): ReactNode {
  const language = useLanguage();
  const theme = useMemo(themeOf, [language]);
  return (
    <MantineProvider theme={theme} defaultColorScheme="auto">
      <QueryClientProvider client={queries}>
        <Boundary>
          <App />
        </Boundary>
      </QueryClientProvider>
    </MantineProvider>
  );
}

async function begin(root: HTMLElement): Promise<void> {
  await speak(preferred()).catch(() => {}); // then it is English
  createRoot(root).render(
    <StrictMode>
      <Root />
    </StrictMode>,
  );
}

let loggedOut = (): void => {};
const earlier = resume(() => loggedOut());
const root = document.getElementById("root");
if (root) void begin(root);
