// A hello of Java's SSLSocket with its defaults: Client PORT
import javax.net.ssl.SSLSocket;
import javax.net.ssl.SSLSocketFactory;

public class Client {
    public static void main(String[] args) throws Exception {
        SSLSocketFactory factory = (SSLSocketFactory) SSLSocketFactory.getDefault();
        try (SSLSocket socket = (SSLSocket) factory.createSocket("localhost", Integer.parseInt(args[0]))) {
            socket.startHandshake();
        }
    }
}
