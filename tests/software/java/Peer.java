import java.io.BufferedReader;
import java.io.FileInputStream;
import java.io.IOException;
import java.io.InputStream;
import java.io.InputStreamReader;
import java.net.HttpURLConnection;
import java.net.InetAddress;
import java.net.Socket;
import java.net.URL;
import java.security.KeyStore;
import java.security.MessageDigest;
import java.security.cert.Certificate;
import java.security.cert.CertificateFactory;
import java.util.ArrayList;
import java.util.List;
import javax.net.ssl.ExtendedSSLSession;
import javax.net.ssl.HttpsURLConnection;
import javax.net.ssl.KeyManagerFactory;
import javax.net.ssl.SNIHostName;
import javax.net.ssl.SSLContext;
import javax.net.ssl.SSLParameters;
import javax.net.ssl.SSLServerSocket;
import javax.net.ssl.SSLSession;
import javax.net.ssl.SSLSocket;
import javax.net.ssl.TrustManagerFactory;

/**
 * A TLS server and client of Java that says of each connection what Java itself knows of it, for tests to compare with.
 * One line of JSON a connection, with the member names of a tls_handshake event.
 *
 * <pre>
 * Peer server KEYS.p12 [OPTION]...                 its password is "secret"
 * Peer client PORT CA SERVER_NAME [OPTION]...      an SSLSocket
 * Peer https PORT CA [OPTION]...                   HttpsURLConnection to localhost
 * </pre>
 *
 * Options: tls1.2, tls1.3, alpn=A,B, suite=NAME, group by -Djdk.tls.namedGroups.
 */
public class Peer {
    public static void main(String[] args) throws Exception {
        List<String> options = List.of(args).subList(args[0].equals("client") ? 4 : args[0].equals("https") ? 3 : 2, args.length);
        switch (args[0]) {
            case "server" -> serve(args[1], options);
            case "client" -> connect(Integer.parseInt(args[1]), args[2], args[3], options);
            case "https" -> fetch(Integer.parseInt(args[1]), args[2]);
            default -> throw new IllegalArgumentException(args[0]);
        }
    }

    static void serve(String keys, List<String> options) throws Exception {
        KeyStore store = KeyStore.getInstance("PKCS12");
        try (InputStream in = new FileInputStream(keys)) {
            store.load(in, "secret".toCharArray());
        }
        KeyManagerFactory managers = KeyManagerFactory.getInstance(KeyManagerFactory.getDefaultAlgorithm());
        managers.init(store, "secret".toCharArray());
        SSLContext context = SSLContext.getInstance("TLS");
        context.init(managers.getKeyManagers(), null, null);
        SSLServerSocket listener =
                (SSLServerSocket) context.getServerSocketFactory().createServerSocket(0, 16, InetAddress.getByName("127.0.0.1"));
        listener.setSSLParameters(apply(listener.getSSLParameters(), options));
        System.out.println("ACCEPT 127.0.0.1:" + listener.getLocalPort());
        while (true) {
            SSLSocket socket = (SSLSocket) listener.accept();
            try (socket) {
                socket.startHandshake();
                tell("server", socket, null);
                socket.getOutputStream().write("HTTP/1.0 200 OK\r\nContent-Length: 3\r\n\r\nok\n".getBytes("UTF-8"));
                socket.getInputStream().readAllBytes();
            } catch (IOException error) {
                tell("server", socket, error);
            }
        }
    }

    static void connect(int port, String ca, String name, List<String> options) throws Exception {
        Socket raw = new Socket("127.0.0.1", port);
        SSLSocket socket = (SSLSocket) trusting(ca).getSocketFactory().createSocket(raw, name, port, true);
        SSLParameters parameters = apply(socket.getSSLParameters(), options);
        parameters.setServerNames(List.of(new SNIHostName(name)));
        parameters.setEndpointIdentificationAlgorithm("HTTPS");
        socket.setSSLParameters(parameters);
        try (socket) {
            socket.startHandshake();
            tell("client", socket, null);
            new BufferedReader(new InputStreamReader(socket.getInputStream())).readLine();
        } catch (IOException error) {
            tell("client", socket, error);
        }
    }

    static void fetch(int port, String ca) throws Exception {
        HttpsURLConnection connection = (HttpsURLConnection) new URL("https://localhost:" + port + "/").openConnection();
        connection.setSSLSocketFactory(trusting(ca).getSocketFactory());
        if (connection.getResponseCode() != HttpURLConnection.HTTP_OK) {
            throw new IllegalStateException("not OK");
        }
        SSLSession session = connection.getSSLSession().orElseThrow();
        System.out.println("{\"role\":\"client\",\"pid\":" + ProcessHandle.current().pid() + ",\"remote_port\":" + port
                + ",\"server_name\":null," + of(session) + certificates(session) + "}");
    }

    static SSLContext trusting(String ca) throws Exception {
        KeyStore store = KeyStore.getInstance(KeyStore.getDefaultType());
        store.load(null, null);
        try (InputStream in = new FileInputStream(ca)) {
            store.setCertificateEntry("ca", CertificateFactory.getInstance("X.509").generateCertificate(in));
        }
        TrustManagerFactory managers = TrustManagerFactory.getInstance(TrustManagerFactory.getDefaultAlgorithm());
        managers.init(store);
        SSLContext context = SSLContext.getInstance("TLS");
        context.init(null, managers.getTrustManagers(), null);
        return context;
    }

    static SSLParameters apply(SSLParameters parameters, List<String> options) {
        for (String option : options) {
            String value = option.substring(option.indexOf('=') + 1);
            switch (option.split("=")[0]) {
                case "tls1.2" -> parameters.setProtocols(new String[] {"TLSv1.2"});
                case "tls1.3" -> parameters.setProtocols(new String[] {"TLSv1.3"});
                case "alpn" -> parameters.setApplicationProtocols(value.split(","));
                case "suite" -> parameters.setCipherSuites(new String[] {value});
                default -> throw new IllegalArgumentException(option);
            }
        }
        return parameters;
    }

    static void tell(String role, SSLSocket socket, IOException error) throws Exception {
        String line = "{\"role\":\"" + role + "\",\"pid\":" + ProcessHandle.current().pid() + ",\"local_port\":"
                + socket.getLocalPort() + ",\"remote_port\":" + socket.getPort();
        if (error != null) {
            line += ",\"error\":\"" + error.getMessage().replaceAll("[\"\\\\\\p{Cntrl}]", "?") + "\"";
        } else {
            ExtendedSSLSession session = (ExtendedSSLSession) socket.getSession();
            List<String> names = new ArrayList<>();
            session.getRequestedServerNames().forEach(name -> names.add(((SNIHostName) name).getAsciiName()));
            line += ",\"server_name\":" + (names.isEmpty() ? "null" : "\"" + names.get(0) + "\"") + "," + of(session)
                    + ",\"negotiated_protocol\":\"" + socket.getApplicationProtocol() + "\""
                    + (role.equals("client") ? certificates(session) : "");
        }
        System.out.println(line + "}");
    }

    static String of(SSLSession session) {
        return "\"version\":\"" + session.getProtocol().replace("TLSv", "TLS ") + "\",\"cipher_suite\":\""
                + session.getCipherSuite() + "\"";
    }

    static String certificates(SSLSession session) throws Exception {
        List<String> digests = new ArrayList<>();
        for (Certificate certificate : session.getPeerCertificates()) {
            StringBuilder text = new StringBuilder("\"");
            for (byte part : MessageDigest.getInstance("SHA-256").digest(certificate.getEncoded())) {
                text.append(String.format("%02x", part));
            }
            digests.add(text.append('"').toString());
        }
        return ",\"certificates\":[" + String.join(",", digests) + "]";
    }
}
