import java.io.FileInputStream;
import java.io.IOException;
import java.io.InputStream;
import java.net.InetAddress;
import java.net.Socket;
import java.security.KeyStore;
import java.security.cert.CertificateFactory;
import java.util.ArrayList;
import java.util.List;
import java.util.Random;
import javax.net.ssl.KeyManager;
import javax.net.ssl.KeyManagerFactory;
import javax.net.ssl.SNIHostName;
import javax.net.ssl.SSLContext;
import javax.net.ssl.SSLParameters;
import javax.net.ssl.SSLServerSocket;
import javax.net.ssl.SSLSocket;
import javax.net.ssl.TrustManagerFactory;

/**
 * Many TLS connections of Java, both ends, one after the other and each of another kind; which, is drawn by a seed: the same every
 * time. Nothing is said of them.
 *
 * <pre>
 * Crowd COUNT SEED [PORT]...     to servers of its own, and to these
 * </pre>
 *
 * In the working directory are server.p12 and client.p12, their password is "secret", ca.crt and other.crt.
 */
public class Crowd {
    static final int FIRST_PORT = 20400;
    static final String[] SUITES_1_2 = {
        "TLS_ECDHE_RSA_WITH_AES_256_GCM_SHA384", "TLS_ECDHE_RSA_WITH_AES_128_CBC_SHA256", "TLS_DHE_RSA_WITH_AES_128_GCM_SHA256",
        "TLS_ECDHE_RSA_WITH_CHACHA20_POLY1305_SHA256",
    };

    /** One of the servers: protocols, whether it asks for a certificate, the largest record. */
    record Server(String[] protocols, boolean asks, int largest) {}

    static final Server[] SERVERS = {
        new Server(new String[] {"TLSv1.3", "TLSv1.2"}, false, 0),
        new Server(new String[] {"TLSv1.2"}, false, 0),
        new Server(new String[] {"TLSv1.3", "TLSv1.2"}, false, 600),
        new Server(new String[] {"TLSv1.2"}, false, 300),
        new Server(new String[] {"TLSv1.2"}, true, 0),
        new Server(new String[] {"TLSv1.3"}, true, 0),
    };

    public static void main(String[] args) throws Exception {
        int count = Integer.parseInt(args[0]);
        Random draw = new Random(Long.parseLong(args[1]));
        List<Integer> ports = new ArrayList<>();
        for (Server server : SERVERS) {
            start(server, FIRST_PORT + ports.size());
            ports.add(FIRST_PORT + ports.size());
        }
        for (int at = 2; at < args.length; at++) {
            ports.add(Integer.parseInt(args[at]));
        }
        // A context has a cache of sessions of its own.
        SSLContext[] contexts = new SSLContext[ports.size()];
        int failed = 0;
        for (int at = 0; at < count; at++) {
            int which = at % ports.size();
            if (contexts[which] == null || draw.nextInt(5) == 0) {
                contexts[which] = context(draw.nextInt(4) > 0 ? "client.p12" : null, draw.nextInt(14) > 0 ? "ca.crt" : "other.crt");
            }
            failed += connect(contexts[which], ports.get(which), draw) ? 0 : 1;
        }
        System.out.println("connections " + count + " failed " + failed);
        if (failed > count / 2) {
            throw new IllegalStateException("nearly nothing works");
        }
        System.exit(0);
    }

    static SSLContext context(String keys, String ca) throws Exception {
        KeyStore trusted = KeyStore.getInstance(KeyStore.getDefaultType());
        trusted.load(null, null);
        try (InputStream in = new FileInputStream(ca)) {
            trusted.setCertificateEntry("ca", CertificateFactory.getInstance("X.509").generateCertificate(in));
        }
        TrustManagerFactory trust = TrustManagerFactory.getInstance(TrustManagerFactory.getDefaultAlgorithm());
        trust.init(trusted);
        KeyManager[] managers = null;
        if (keys != null) {
            KeyStore store = KeyStore.getInstance("PKCS12");
            try (InputStream in = new FileInputStream(keys)) {
                store.load(in, "secret".toCharArray());
            }
            KeyManagerFactory factory = KeyManagerFactory.getInstance(KeyManagerFactory.getDefaultAlgorithm());
            factory.init(store, "secret".toCharArray());
            managers = factory.getKeyManagers();
        }
        SSLContext context = SSLContext.getInstance("TLS");
        context.init(managers, trust.getTrustManagers(), null);
        return context;
    }

    static void start(Server server, int port) throws Exception {
        SSLServerSocket listener = (SSLServerSocket) context("server.p12", "ca.crt").getServerSocketFactory()
                .createServerSocket(port, 16, InetAddress.getByName("127.0.0.1"));
        SSLParameters parameters = listener.getSSLParameters();
        parameters.setProtocols(server.protocols);
        parameters.setNeedClientAuth(server.asks);
        parameters.setApplicationProtocols(new String[] {"h2", "http/1.1"});
        if (server.largest > 0) {
            parameters.setMaximumPacketSize(server.largest);
        }
        listener.setSSLParameters(parameters);
        Thread thread = new Thread(() -> {
            while (true) {
                try (SSLSocket socket = (SSLSocket) listener.accept()) {
                    socket.setSoTimeout(5000);
                    socket.setTcpNoDelay(true);
                    socket.startHandshake();
                    socket.getOutputStream().write("ok\n".getBytes("UTF-8"));
                    socket.getInputStream().readAllBytes();
                } catch (IOException refused) {
                    // That clients give up is a part of it.
                }
            }
        });
        thread.setDaemon(true);
        thread.start();
    }

    static boolean connect(SSLContext context, int port, Random draw) throws IOException {
        String name = draw.nextInt(3) == 0 ? "localhost" : "server.test";
        SSLSocket socket = (SSLSocket) context.getSocketFactory().createSocket(new Socket("127.0.0.1", port), name, port, true);
        SSLParameters parameters = socket.getSSLParameters();
        switch (draw.nextInt(5)) {
            case 0 -> parameters.setProtocols(new String[] {"TLSv1.2"});
            case 1 -> parameters.setProtocols(new String[] {"TLSv1.3"});
            case 2 -> {
                parameters.setProtocols(new String[] {"TLSv1.2"});
                parameters.setCipherSuites(new String[] {SUITES_1_2[draw.nextInt(SUITES_1_2.length)]});
            }
            default -> { }
        }
        switch (draw.nextInt(4)) {
            case 0 -> parameters.setApplicationProtocols(new String[] {"h2", "http/1.1"});
            case 1 -> parameters.setApplicationProtocols(new String[] {"http/1.1"});
            default -> { }
        }
        if (draw.nextInt(4) == 0) {
            parameters.setMaximumPacketSize(draw.nextBoolean() ? 200 : 700);
        }
        if (draw.nextInt(8) > 0) {
            parameters.setServerNames(List.of(new SNIHostName(name)));
        }
        socket.setSSLParameters(parameters);
        socket.setSoTimeout(5000);
        socket.setTcpNoDelay(true);
        try (socket) {
            socket.startHandshake();
            socket.getOutputStream().write("GET / HTTP/1.0\r\nHost: server.test\r\n\r\n".getBytes("UTF-8"));
            // With it come the tickets of TLS 1.3.
            return socket.getInputStream().read() >= 0;
        } catch (IOException refused) {
            return false;
        }
    }
}
